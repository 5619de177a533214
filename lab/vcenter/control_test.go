package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// hangLimit ends a test in which something waits that should not; nothing is measured by it.
const hangLimit = time.Minute

// controlled is a site with a control port.
type controlled struct {
	*site
	control *control
}

func startControlled(t *testing.T, size size) *controlled {
	t.Helper()
	server, kept, err := serve(settings(t, t.TempDir(), size))
	if err != nil {
		t.Fatal(err)
	}
	control, err := openControl("127.0.0.1:0", server, kept.model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.close(); server.Close(); kept.close() })
	address := *server.URL
	address.User = url.UserPassword(user, password)
	ctx, cancel := context.WithTimeout(context.Background(), hangLimit)
	t.Cleanup(cancel)
	client, err := govmomi.NewClient(ctx, &address, true)
	if err != nil {
		t.Fatal(err)
	}
	one := &site{t: t, ctx: ctx, server: server, client: client, finder: find.NewFinder(client.Client)}
	center, err := one.finder.DefaultDatacenter(ctx)
	one.must(err)
	one.finder.SetDatacenter(center)
	return &controlled{one, control}
}

// ask sends a request to the control port; its answer is JSON.
func (c *controlled) ask(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.ctx, method, "http://"+c.control.address+path, strings.NewReader(body))
	c.must(err)
	answer, err := http.DefaultClient.Do(request)
	c.must(err)
	defer answer.Body.Close()
	var content map[string]any
	c.must(json.NewDecoder(answer.Body).Decode(&content))
	return answer.StatusCode, content
}

// post orders something that has to be done.
func (c *controlled) post(path, body string) map[string]any {
	c.t.Helper()
	status, content := c.ask(http.MethodPost, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %v", path, body, status, content)
	}
	return content
}

// counted is the answer of GET /counts, as a client of the port reads it.
func (c *controlled) counted() countsShown {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.ctx, http.MethodGet, "http://"+c.control.address+"/counts", nil)
	c.must(err)
	answer, err := http.DefaultClient.Do(request)
	c.must(err)
	defer answer.Body.Close()
	var shown countsShown
	c.must(json.NewDecoder(answer.Body).Decode(&shown))
	return shown
}

// loggedIn is a second client with a session of its own.
func (c *controlled) loggedIn(agent string) *govmomi.Client {
	c.t.Helper()
	client := c.second(agent)
	c.must(client.Login(c.ctx, url.UserPassword(user, password)))
	return client
}

func enableBy(ctx context.Context, client *govmomi.Client, system types.ManagedObjectReference, key string) error {
	_, err := methods.EnableRuleset(ctx, client, &types.EnableRuleset{This: system, Id: key})
	return err
}

func TestTheControlPortListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:0", ":0", "[::]:0"} {
		wanted := settings(t, t.TempDir(), usualSize)
		wanted.control = address

		_, _, err := serve(wanted)

		if err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", address, err)
		}
		if control, err := openControl(address, nil, nil); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v %v", address, control, err)
		}
	}
}

func TestAnOrderWithAnUnknownNameIsRefused(t *testing.T) {
	one := startControlled(t, usualSize)
	for path, bodies := range map[string][]string{
		"/switches": {
			`{"latency": 20}`, `{"latency_ms": -1}`, `{"latency_ms": "20"}`, `no JSON`, `{"silent": ["nowhere"]}`,
			`{"failures": [{"method": "EnableRulset", "fault": "drop"}]}`,
			`{"failures": [{"method": "EnableRulesetRequestType", "fault": "drop"}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "NoSuchFault"}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "HostSystem"}]}`,
			`{"failures": [{"method": "EnableRuleset"}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "drop", "host": "nowhere"}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "drop", "nth": 0}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "drop", "times": 0}]}`,
			`{"failures": [{"method": "EnableRuleset", "fault": "NotFound", "privilege": "Host.Config.NetService"}]}`,
		},
		"/sessions/end": {`{}`, `{"agents": "Drydock/"}`, ``},
	} {
		for _, body := range bodies {
			status, content := one.ask(http.MethodPost, path, body)

			if text, _ := content["error"].(string); status != http.StatusBadRequest || text == "" {
				t.Errorf("%s %s: %d %v", path, body, status, content)
			}
		}
	}
}

func TestAnOrderThatIsRefusedThrowsNoSwitch(t *testing.T) {
	one := startControlled(t, usualSize)

	one.ask(http.MethodPost, "/switches", `{"silent": ["DC0_C0_H1"], "failures": [{"method": "nothing", "fault": "drop"}]}`)

	one.must(one.enable("DC0_C0_H1", "vSPC"))
}

func TestSessionsOfAUserAgentAreEndedAndTheirNextCallIsNotAuthenticated(t *testing.T) {
	one := startControlled(t, usualSize)
	ours, alsoOurs, another := one.loggedIn("Drydock/1.0"), one.loggedIn("Drydock/1.0"), one.loggedIn("other/Drydock/1.0")
	firewall := one.firewall("DC0_C0_H1")

	ended := one.post("/sessions/end", `{"agent": "Drydock/"}`)["ended"]

	if ended != 2.0 {
		t.Errorf("%v sessions were ended", ended)
	}
	expect[*types.NotAuthenticated](t, enableBy(one.ctx, ours, firewall, "vSPC"))
	var read mo.HostFirewallSystem
	expect[*types.NotAuthenticated](t, alsoOurs.RetrieveOne(one.ctx, firewall, []string{"firewallInfo"}, &read))
	one.must(enableBy(one.ctx, another, firewall, "vSPC"))
	if left := one.sessions("Drydock/1.0"); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestAClientWhoseSessionWasEndedCanLogInAgain(t *testing.T) {
	one := startControlled(t, usualSize)
	ours := one.loggedIn("Drydock/1.0")
	one.post("/sessions/end", `{"agent": "Drydock/"}`)

	one.must(ours.Login(one.ctx, url.UserPassword(user, password)))

	one.must(enableBy(one.ctx, ours, one.firewall("DC0_C0_H1"), "vSPC"))
}

// withOthers are settings whose credentials file has more users.
func withOthers(t *testing.T, others string) options {
	t.Helper()
	wanted := settings(t, t.TempDir(), usualSize)
	wanted.credentials = filepath.Join(t.TempDir(), "credentials")
	text := `{"user": "me", "password": "pass\"word", "others": ` + others + `}`
	if err := os.WriteFile(wanted.credentials, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return wanted
}

func TestEachUserLogsInWithTheOwnPasswordOnly(t *testing.T) {
	server, kept, err := serve(withOthers(t, `[
		{"user": "reader", "password": "reads", "role": "ReadOnly"},
		{"user": "nobody", "password": "nothing", "role": "NoAccess"}]`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); kept.close() })
	one := &site{t: t, ctx: context.Background(), server: server}

	for _, good := range []*url.Userinfo{
		url.UserPassword(user, password), url.UserPassword("reader", "reads"), url.UserPassword("nobody", "nothing"),
	} {
		one.must(one.second("test").Login(one.ctx, good))
	}
	for _, wrong := range []*url.Userinfo{
		url.UserPassword("reader", password), url.UserPassword(user, "reads"), url.UserPassword("nobody", "reads"),
		url.UserPassword("reader", ""), url.UserPassword("", ""), url.UserPassword("stranger", "reads"),
	} {
		expect[*types.InvalidLogin](t, one.second("test").Login(one.ctx, wrong))
	}
}

func TestARoleIsItsPrivileges(t *testing.T) {
	known, err := readAccounts(withOthers(t, `[
		{"user": "reader", "password": "a", "role": "ReadOnly"},
		{"user": "nobody", "password": "b", "role": "NoAccess"},
		{"user": "half", "password": "c", "role": {"privileges": ["System.Read", "Host.Config.NetService"]}}]`).credentials)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string][]string{
		"reader": {"System.Anonymous", "System.Read", "System.View"},
		"nobody": {},
		"half":   {"Host.Config.NetService", "System.Read"},
	}

	for name, privileges := range wanted {
		set, all := known.find(name).privileges()
		if all || len(set) != len(privileges) || slices.ContainsFunc(privileges, func(one string) bool { return !set[one] }) {
			t.Errorf("%s: everything is %v, else %v", name, all, set)
		}
	}
	if _, all := known.find(user).privileges(); !all {
		t.Error("the site's own user may not do everything")
	}
}

func TestACredentialsFileThatLacksSomethingIsRefused(t *testing.T) {
	for others, said := range map[string]string{
		`[{"user": "reader", "password": "secret"}]`:                                   "needs a role",
		`[{"user": "reader", "password": "secret", "role": "Reader"}]`:                 "Reader",
		`[{"user": "reader", "password": "secret", "role": {"privilege": []}}]`:        "a role is",
		`[{"user": "reader", "role": "ReadOnly"}]`:                                     "password",
		`[{"password": "secret", "role": "ReadOnly"}]`:                                 "user",
		`[{"user": "me", "password": "secret", "role": "ReadOnly"}]`:                   "twice",
		`{"user": "reader", "password": "secret", "role": {"privileges": ["a", "b"]}}`: "others",
	} {
		_, err := readAccounts(withOthers(t, others).credentials)

		if err == nil || !strings.Contains(err.Error(), said) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", others, err)
		}
	}
}
