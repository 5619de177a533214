package main

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// client is a second client, not logged in, that names itself.
func (s *site) second(agent string) *govmomi.Client {
	s.t.Helper()
	plain := soap.NewClient(s.server.URL, true)
	plain.UserAgent = agent
	vim, err := vim25.NewClient(s.ctx, plain)
	s.must(err)
	return &govmomi.Client{Client: vim, SessionManager: session.NewManager(vim)}
}

// sessions are the keys of the sessions of a user agent.
func (s *site) sessions(agent string) []string {
	s.t.Helper()
	var manager mo.SessionManager
	s.must(s.client.RetrieveOne(s.ctx, *s.client.ServiceContent.SessionManager, []string{"sessionList"}, &manager))
	var keys []string
	for _, one := range manager.SessionList {
		if one.UserAgent == agent {
			keys = append(keys, one.Key)
		}
	}
	return keys
}

func TestAWrongLoginIsRefused(t *testing.T) {
	one := start(t, t.TempDir())

	for _, wrong := range []*url.Userinfo{url.UserPassword(user, "wrong"), url.UserPassword("other", password), url.UserPassword(user, "")} {
		expect[*types.InvalidLogin](t, one.second("test").Login(context.Background(), wrong))
	}
}

func TestATokenFromAnywhereIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	stranger := one.second("test")
	var token struct {
		XMLName xml.Name `xml:"Security"`
		Name    string   `xml:"Assertion>Subject>NameID"`
	}
	token.Name = user
	ctx := stranger.WithHeader(one.ctx, soap.Header{Security: token})

	_, err := methods.LoginByToken(ctx, stranger, &types.LoginByToken{This: *one.client.ServiceContent.SessionManager})

	expect[*types.InvalidLogin](t, err)
}

func TestNothingIsDoneWithoutALogin(t *testing.T) {
	one := start(t, t.TempDir())

	_, err := methods.EnableRuleset(one.ctx, one.second("test"), &types.EnableRuleset{This: one.firewall("DC0_H0"), Id: "vSPC"})

	expect[*types.NotAuthenticated](t, err)
}

func TestSessionsAreListedWithTheirUserAgentUntilTheyLogOut(t *testing.T) {
	one := start(t, t.TempDir())
	other := one.second("Drydock/test")
	one.must(other.Login(one.ctx, url.UserPassword(user, password)))

	before := one.sessions("Drydock/test")
	one.must(other.Logout(one.ctx))

	if after := one.sessions("Drydock/test"); len(before) != 1 || len(after) != 0 {
		t.Fatalf("%d sessions before logging out, %d after", len(before), len(after))
	}
}

func TestASessionThatIsTerminatedIsOver(t *testing.T) {
	one := start(t, t.TempDir())
	other := one.second("Drydock/test")
	one.must(other.Login(one.ctx, url.UserPassword(user, password)))

	one.must(one.client.SessionManager.TerminateSession(one.ctx, one.sessions("Drydock/test")))

	_, err := methods.EnableRuleset(one.ctx, other, &types.EnableRuleset{This: one.firewall("DC0_H0"), Id: "vSPC"})
	expect[*types.NotAuthenticated](t, err)
	if left := one.sessions("Drydock/test"); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestADatastoreIsClosedToStrangersAndKeepsItsFiles(t *testing.T) {
	one := start(t, t.TempDir())
	friend := url.UserPassword(user, password)

	strange, _ := one.web(http.MethodPut, "/folder/note.txt", nil, strings.NewReader("strange"))
	wrong, _ := one.web(http.MethodPut, "/folder/note.txt", url.UserPassword(user, "wrong"), strings.NewReader("wrong"))
	put, _ := one.web(http.MethodPut, "/folder/note.txt", friend, strings.NewReader("hello"))
	hidden, _ := one.web(http.MethodGet, "/folder/note.txt", nil, nil)
	got, text := one.web(http.MethodGet, "/folder/note.txt", friend, nil)

	if strange != http.StatusUnauthorized || wrong != http.StatusUnauthorized || hidden != http.StatusUnauthorized {
		t.Errorf("put without login %d, with a wrong one %d; get without %d", strange, wrong, hidden)
	}
	if put != http.StatusOK || got != http.StatusOK || text != "hello" {
		t.Errorf("put %d, get %d %q", put, got, text)
	}
	if kept, err := os.ReadFile(filepath.Join(one.state, "datastores", store, "note.txt")); err != nil || string(kept) != "hello" {
		t.Errorf("on the disk: %q, %v", kept, err)
	}
}
