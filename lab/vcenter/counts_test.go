package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"
)

func TestCallsAreCountedByMethodAndUserAgent(t *testing.T) {
	one := startControlled(t, usualSize)
	ours := one.loggedIn("Drydock/1.0")
	firewall := one.firewall("DC0_C0_H1")
	one.post("/counts/reset", "")

	one.must(enableBy(one.ctx, ours, firewall, "vSPC"))
	one.must(enableBy(one.ctx, ours, firewall, "vic-engine"))
	expect[*types.NotFound](t, enableBy(one.ctx, one.client, firewall, "nothing"))

	counted := one.counted()
	if counted.Calls["EnableRuleset"] != 3 || len(counted.Calls) != 1 {
		t.Errorf("calls: %v", counted.Calls)
	}
	if counted.ByAgent["Drydock/1.0"]["EnableRuleset"] != 2 || len(counted.ByAgent) != 2 {
		t.Errorf("by agent: %v", counted.ByAgent)
	}
}

func TestACallThatIsDroppedIsCounted(t *testing.T) {
	one := startControlled(t, usualSize)
	firewall := one.firewall("DC0_C0_H1")
	one.post("/switches", `{"failures": [{"method": "EnableRuleset", "fault": "drop"}]}`)

	err := enableBy(one.ctx, one.client, firewall, "vSPC")

	if got := one.counted().Calls["EnableRuleset"]; err == nil || got != 1 {
		t.Errorf("%d calls, %v", got, err)
	}
}

func TestLoginsAreCountedByUserAgentAndOutcome(t *testing.T) {
	one := startControlled(t, usualSize)
	one.loggedIn("Drydock/1.0")

	expect[*types.InvalidLogin](t, one.second("Drydock/1.0").Login(one.ctx, url.UserPassword(user, "wrong")))
	expect[*types.InvalidLogin](t, one.second("other").Login(one.ctx, url.UserPassword(user, "wrong")))

	got := one.counted().Logins
	if got["Drydock/1.0"] != (logins{OK: 1, Failed: 1}) || got["other"] != (logins{Failed: 1}) {
		t.Errorf("got %v", got)
	}
}

func TestALoginThatEndsOtherwiseIsNoFailedLogin(t *testing.T) {
	one := startControlled(t, usualSize)
	one.post("/switches", `{"failures": [
		{"method": "Login", "fault": "NoPermission", "privilege": "System.View"}, {"method": "Login", "nth": 2, "fault": "drop"}]}`)

	var denied *types.NoPermission
	err := one.second("Drydock/1.0").Login(one.ctx, url.UserPassword(user, "wrong"))
	if _, ok := fault.As(err, &denied); !ok || *denied.Object != *one.client.ServiceContent.SessionManager {
		t.Errorf("got %v", err)
	}
	if one.second("Drydock/1.0").Login(one.ctx, url.UserPassword(user, password)) == nil {
		t.Error("the second login is answered")
	}

	if got := one.counted().Logins["Drydock/1.0"]; got != (logins{}) {
		t.Errorf("got %v", got)
	}
}

func TestOpenSessionsAreShownUntilTheyEnd(t *testing.T) {
	one := startControlled(t, usualSize)
	ours := one.loggedIn("Drydock/1.0")
	key := one.sessions("Drydock/1.0")[0]

	before := one.counted().Sessions
	one.must(ours.Logout(one.ctx))
	after := one.counted().Sessions

	if len(before) != 2 || before[1] != (openSession{key, user, "Drydock/1.0"}) || len(after) != 1 {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestAResetForgetsCountsButNotSessions(t *testing.T) {
	one := startControlled(t, usualSize)
	one.loggedIn("Drydock/1.0")

	one.post("/counts/reset", "")

	if got := one.counted(); len(got.Calls)+len(got.ByAgent)+len(got.Logins) != 0 || len(got.Sessions) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestCountsAreReadByGetAlone(t *testing.T) {
	one := startControlled(t, usualSize)

	for path, method := range map[string]string{"/counts": http.MethodPost, "/counts/reset": http.MethodGet, "/switches": http.MethodGet} {
		request, err := http.NewRequestWithContext(one.ctx, method, "http://"+one.control.address+path, nil)
		one.must(err)
		answer, err := http.DefaultClient.Do(request)
		one.must(err)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d", method, path, answer.StatusCode)
		}
	}
}
