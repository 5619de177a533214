package main

import (
	"net/http"
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
	return err == nil && sessionExists(model, strings.Trim(cookie.Value, `"`))
}

func sessionExists(model *simulator.Model, key string) bool {
	// The list of sessions is only made for a session that asks.
	asked := &simulator.Session{Registry: simulator.NewRegistry(), Map: model.Map()}
	manager, ok := asked.Get(model.Map().SessionManager().Self).(*simulator.SessionManager)
	if !ok {
		return false
	}
	for _, one := range manager.SessionList {
		if one.Key == key {
			return true
		}
	}
	return false
}
