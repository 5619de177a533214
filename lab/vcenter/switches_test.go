package main

import (
	"context"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestEachCallIsAnsweredLaterByTheLatency(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall := one.firewall("DC0_C0_H1")
	one.post("/switches", `{"latency_ms": 50}`)

	began := time.Now()
	one.must(enableBy(one.ctx, one.client, firewall, "vSPC"))

	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestCallsThatSleepDontBlockEachOther(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall := one.firewall("DC0_C0_H1")
	const together = 16
	var asleep sync.WaitGroup
	asleep.Add(together)
	one.control.switches.sleep = func(time.Duration) { // nobody wakes before all sleep
		asleep.Done()
		asleep.Wait()
	}
	results := make(chan error, together)

	for range together {
		go func() { results <- enableBy(one.ctx, one.client, firewall, "vSPC") }()
	}

	for range together {
		one.must(<-results)
	}
}

func TestTheNthMatchingCallFailsAndThoseAroundItDont(t *testing.T) {
	one := startControlled(t, usualSize)
	first, second := one.firewall("DC0_C0_H1"), one.firewall("DC0_C0_H2")
	one.post("/switches", `{"failures": [
		{"method": "EnableRuleset", "host": "DC0_C0_H1", "nth": 2, "times": 2, "fault": "HostConfigFault"}]}`)

	for turn, fails := range []bool{false, true, true, false} {
		one.must(enableBy(one.ctx, one.client, second, "vSPC"))
		_, other := methods.RefreshFirewall(one.ctx, one.client, &types.RefreshFirewall{This: first})
		one.must(other)
		err := enableBy(one.ctx, one.client, first, "vSPC")
		if fault.Is(err, new(types.HostConfigFault)) != fails {
			t.Errorf("call %d: %v", turn+1, err)
		}
	}
}

func TestAFailureForEverLastsUntilTheReset(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall := one.firewall("DC0_C0_H1")
	one.post("/switches", `{"failures": [{"method": "EnableRuleset", "host": null, "times": -1, "fault": "TaskInProgress"}]}`)

	for range 3 {
		err := enableBy(one.ctx, one.client, firewall, "vSPC")
		var busy *types.TaskInProgress
		if _, ok := fault.As(err, &busy); !ok || busy.Task.Type != "Task" || busy.Task.Value == "" {
			t.Errorf("got %v", err)
		}
	}
	one.post("/switches/reset", "")

	one.must(enableBy(one.ctx, one.client, firewall, "vSPC"))
}

func TestAFailureOfAHostIsThatOfAllOfItsManagers(t *testing.T) {
	one := startControlled(t, usualSize)
	one.post("/switches", `{"failures": [
		{"method": "StartService", "host": "DC0_C0_H1", "times": -1, "fault": "HostConfigFault"},
		{"method": "DisconnectHost_Task", "host": "DC0_C0_H1", "times": -1, "fault": "HostConfigFault"}]}`)

	_, service := methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("DC0_C0_H1"), Id: "TSM"})
	_, other := methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("DC0_C0_H2"), Id: "TSM"})
	_, itself := one.host("DC0_C0_H1").Disconnect(one.ctx)

	expect[*types.HostConfigFault](t, service)
	expect[*types.HostConfigFault](t, itself)
	one.must(other)
}

func TestAFaultHasItsSentenceAndItsFields(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall, host := one.firewall("DC0_C0_H1"), one.host("DC0_C0_H1").Reference()
	one.post("/switches", `{"failures": [
		{"method": "EnableRuleset", "fault": "HostNotConnected"},
		{"method": "EnableRuleset", "nth": 2, "fault": "NoPermission", "privilege": "Host.Config.NetService"},
		{"method": "EnableRuleset", "nth": 3, "fault": "ManagedObjectNotFound"},
		{"method": "EnableRuleset", "nth": 4, "fault": "NotAuthenticated"}]}`)

	away := enableBy(one.ctx, one.client, firewall, "vSPC")
	denied := enableBy(one.ctx, one.client, firewall, "vSPC")
	gone := enableBy(one.ctx, one.client, firewall, "vSPC")
	over := enableBy(one.ctx, one.client, firewall, "vSPC")

	if !fault.Is(away, new(types.HostNotConnected)) || !strings.Contains(away.Error(), sentence(new(types.HostNotConnected))) {
		t.Errorf("got %v", away)
	}
	var permission *types.NoPermission
	if _, ok := fault.As(denied, &permission); !ok || permission.PrivilegeId != "Host.Config.NetService" || *permission.Object != host {
		t.Errorf("got %v", denied)
	}
	var missing *types.ManagedObjectNotFound
	if _, ok := fault.As(gone, &missing); !ok || missing.Obj != firewall {
		t.Errorf("got %v", gone)
	}
	var ended *types.NotAuthenticated
	if _, ok := fault.As(over, &ended); !ok || ended.PrivilegeId != "System.View" || *ended.Object != firewall {
		t.Errorf("got %v", over)
	}
}

func TestACallThatFailsHasNoEffectUnlessTheFaultComesAfterIt(t *testing.T) {
	one := startControlled(t, usualSize)
	for _, host := range []string{"DC0_C0_H0", "DC0_C0_H1"} { // the first client's calls look the host up
		one.firewall(host)
	}
	one.post("/switches", `{"failures": [
		{"method": "EnableRuleset", "host": "DC0_C0_H0", "fault": "HostConfigFault"},
		{"method": "EnableRuleset", "host": "DC0_C0_H1", "fault": "HostConfigFault", "after": true}]}`)

	expect[*types.HostConfigFault](t, one.enable("DC0_C0_H0", "vSPC"))
	expect[*types.HostConfigFault](t, one.enable("DC0_C0_H1", "vSPC"))

	if one.rulesets("DC0_C0_H0")["vSPC"].Enabled || !one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Error("the fault before had an effect, or the fault after had none")
	}
}

func TestADropClosesTheConnectionWithoutAnAnswer(t *testing.T) {
	one := startControlled(t, usualSize)
	before, after := one.firewall("DC0_C0_H0"), one.firewall("DC0_C0_H1")
	one.post("/switches", `{"failures": [
		{"method": "EnableRuleset", "fault": "drop"}, {"method": "EnableRuleset", "nth": 2, "fault": "drop", "after": true}]}`)

	for _, system := range []types.ManagedObjectReference{before, after} {
		err := enableBy(one.ctx, one.client, system, "vSPC")
		if err == nil || soap.IsSoapFault(err) || !strings.Contains(err.Error(), "EOF") {
			t.Errorf("got %v", err)
		}
	}

	if one.rulesets("DC0_C0_H0")["vSPC"].Enabled || !one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Error("the drop before had an effect, or the drop after had none")
	}
}

func TestALoginWhoseAnswerIsLostLeavesASession(t *testing.T) {
	one := startControlled(t, usualSize)
	one.post("/switches", `{"failures": [{"method": "Login", "fault": "InvalidLogin", "after": true}]}`)
	ours := one.second("Drydock/1.0")

	expect[*types.InvalidLogin](t, ours.Login(one.ctx, url.UserPassword(user, password)))
	read, err := session.NewManager(ours.Client).UserSession(one.ctx)

	if len(one.sessions("Drydock/1.0")) != 1 || read != nil || err != nil {
		t.Errorf("the client has %v, %v", read, err)
	}
}

func TestASwitchReplacesItsEarlierValueAndLeavesTheOthers(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall := one.firewall("DC0_C0_H1")
	one.post("/switches", `{"failures": [{"method": "EnableRuleset", "times": -1, "fault": "HostConfigFault"}]}`)

	one.post("/switches", `{"latency_ms": 0, "silent": []}`)
	expect[*types.HostConfigFault](t, enableBy(one.ctx, one.client, firewall, "vSPC"))
	one.post("/switches", `{"failures": [{"method": "EnableRuleset", "nth": 2, "fault": "NotFound"}]}`)

	one.must(enableBy(one.ctx, one.client, firewall, "vSPC"))
	expect[*types.NotFound](t, enableBy(one.ctx, one.client, firewall, "vSPC"))
}

// fetched reads a property of an object as pyVmomi does, which calls the object itself.
func (c *controlled) fetched(on types.ManagedObjectReference, property string) {
	c.t.Helper()
	var body struct {
		Req *fetchRequest `xml:"urn:vim25 Fetch"`
		Res *struct{}     `xml:"FetchResponse"`
		fetchBody
	}
	body.Req = &fetchRequest{This: on, Prop: property}
	c.must(c.client.RoundTrip(c.ctx, &body, &body))
}

type fetchRequest struct {
	This types.ManagedObjectReference `xml:"_this"`
	Prop string                       `xml:"prop"`
}

// silenced is a call to a silent host that is on its way; its end comes through the channel.
func (c *controlled) silenced(ctx context.Context, system types.ManagedObjectReference) <-chan error {
	c.t.Helper()
	c.post("/switches", `{"silent": ["DC0_C0_H1"]}`)
	before := c.counted().Calls["EnableRuleset"]
	ended := make(chan error, 1)
	go func() { ended <- enableBy(ctx, c.client, system, "vSPC") }()
	for c.counted().Calls["EnableRuleset"] == before {
		time.Sleep(time.Millisecond)
	}
	return ended
}

func TestASilentHostAnswersWhenItIsNoLongerInTheListAndOthersAnswerMeanwhile(t *testing.T) {
	one := startControlled(t, usualSize)
	silent, other := one.firewall("DC0_C0_H1"), one.firewall("DC0_C0_H2")

	ended := one.silenced(one.ctx, silent)
	one.must(enableBy(one.ctx, one.client, other, "vSPC"))
	without := one.rulesets("DC0_C0_H1")["vSPC"].Enabled // vCenter itself knows what the host had
	one.fetched(silent, "firewallInfo")
	one.post("/switches", `{"silent": ["DC0_C0_H0"]}`)
	one.must(<-ended)

	if without || !one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Errorf("enabled while silent: %v, or not afterwards", without)
	}
}

func TestAClientThatGivesUpOnASilentHostChangesNothing(t *testing.T) {
	one := startControlled(t, usualSize)
	system := one.firewall("DC0_C0_H1")
	ctx, giveUp := context.WithCancel(one.ctx)

	ended := one.silenced(ctx, system)
	giveUp()
	err := <-ended
	one.server.Close() // waits until no request is left
	one.control.switches.reset()

	if !errors.Is(err, context.Canceled) || firewallIsOpen(one, "DC0_C0_H1") {
		t.Errorf("got %v", err)
	}
}

// firewallIsOpen looks without the server.
func firewallIsOpen(one *controlled, host string) bool {
	for _, system := range one.control.registry.AllReference("HostFirewallSystem") {
		own, ok := system.(*firewall)
		if !ok || own.host.Name != host {
			continue
		}
		for _, rule := range own.FirewallInfo.Ruleset {
			if rule.Key == "vSPC" {
				return rule.Enabled
			}
		}
	}
	return false
}

func TestTheEndDoesNotWaitForASilentHost(t *testing.T) {
	one := startControlled(t, usualSize)
	system := one.firewall("DC0_C0_H1")

	ended := one.silenced(one.ctx, system)
	one.control.close()
	one.server.Close()

	if err := <-ended; err == nil {
		t.Error("the call is answered")
	}
}

func TestASilentSingleHostAnswersNothing(t *testing.T) {
	one := startControlled(t, size{ESX: true, Datastores: 1})
	hosts, err := one.finder.HostSystemList(one.ctx, "*")
	one.must(err)
	one.post("/switches", `{"silent": ["`+hosts[0].Name()+`"]}`)
	ended := make(chan error, 1)

	go func() {
		_, err := methods.GetCurrentTime(one.ctx, one.client)
		ended <- err
	}()
	for one.counted().Calls["CurrentTime"] == 0 {
		time.Sleep(time.Millisecond)
	}
	one.control.close()

	if err := <-ended; err == nil {
		t.Error("it answered")
	}
}

func TestTheMethodAndTheObjectAreReadFromTheBeginning(t *testing.T) {
	const body = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><Body><Wrong/></Body></e:Header>` +
		`<e:Body><EnableRuleset xmlns="urn:vim25"><_this type="HostFirewallSystem">firewallSystem-1</_this><id>vSPC</id>`
	wanted := call{"EnableRuleset", types.ManagedObjectReference{Type: "HostFirewallSystem", Value: "firewallSystem-1"}}

	if got := readCall([]byte(body)); got != wanted {
		t.Errorf("got %+v", got)
	}
	for _, text := range []string{"", "no XML", "<a><b/></a>", xml.Header} {
		if got := readCall([]byte(text)); got.method != "" {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
