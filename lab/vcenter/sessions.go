package main

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// guarded refuses datastore access to who isn't logged in, as a real vCenter does.
func guarded(model *simulator.Model, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/folder") && !loggedIn(model, r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loggedIn(model *simulator.Model, r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		request := &types.Login{UserName: user, Password: password}
		return model.Map().SessionManager().Authenticate(*model.Service.Listen, request)
	}
	cookie, err := r.Cookie(soap.SessionCookieName)
	return err == nil && sessionExists(model.Map(), strings.Trim(cookie.Value, `"`))
}

func sessionExists(registry *simulator.Registry, key string) bool {
	return slices.ContainsFunc(sessionList(registry), func(one types.UserSession) bool { return one.Key == key })
}

func sessionList(registry *simulator.Registry) []types.UserSession {
	// The list of sessions is only made for a session that asks.
	asked := &simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	manager, ok := asked.Get(registry.SessionManager().Self).(*simulator.SessionManager)
	if !ok {
		return nil
	}
	return manager.SessionList
}

// endSessions ends the sessions whose user agent begins so, as an administrator does, and says how many there were.
// Their next call is answered as by a real vCenter: with the fault NotAuthenticated, but where it reads properties, with
// that fault in the place of each property.
func endSessions(registry *simulator.Registry, agent string) int {
	manager := registry.SessionManager()
	nobody := &simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	ctx := &simulator.Context{Context: context.Background(), Map: registry, Session: nobody}
	ended := 0
	for _, one := range sessionList(registry) {
		if !strings.HasPrefix(one.UserAgent, agent) {
			continue
		}
		// One by one: who has logged out meanwhile is NotFound, and the others must end all the same.
		if manager.TerminateSession(ctx, &types.TerminateSession{SessionId: []string{one.Key}}).Fault() == nil {
			ended++
		}
	}
	return ended
}
