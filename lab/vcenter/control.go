package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/vmware/govmomi/simulator"
)

const (
	controlTimeout  = 10 * time.Second
	controlMaxBytes = 1 << 20
)

// control is the port by which tests count calls, throw switches and end sessions. It is plain HTTP and JSON.
type control struct {
	address  string
	registry *simulator.Registry
	counts   *counts
	switches *switches
	server   *http.Server
}

// openControl puts counts and switches in front of a server and listens for who wants to use them.
func openControl(address string, server *simulator.Server, model *simulator.Model) (*control, error) {
	if err := onLoopback(address); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &control{
		address:  listener.Addr().String(),
		registry: model.Map(),
		counts:   newCounts(),
		switches: newSwitches(model.Map()),
	}
	server.Config.Handler = withCalls(c.counts.counting(c.switches.switching(server.Config.Handler)))
	c.server = &http.Server{Handler: c.routes(), ReadTimeout: controlTimeout, WriteTimeout: controlTimeout}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

// close ends every call that a switch holds back, so that nothing waits for it.
func (c *control) close() {
	c.switches.close()
	_ = c.server.Close()
}

func (c *control) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /counts", c.showCounts)
	routes.HandleFunc("POST /counts/reset", func(w http.ResponseWriter, _ *http.Request) {
		c.counts.reset()
		answer(w, http.StatusOK, struct{}{})
	})
	routes.HandleFunc("POST /switches", c.setSwitches)
	routes.HandleFunc("POST /switches/reset", func(w http.ResponseWriter, _ *http.Request) {
		c.switches.reset()
		answer(w, http.StatusOK, struct{}{})
	})
	routes.HandleFunc("POST /sessions/end", c.endSessions)
	routes.HandleFunc("POST /vms", c.setGuest)
	return routes
}

func (c *control) showCounts(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.counts.shown(c.registry))
}

func (c *control) setSwitches(w http.ResponseWriter, r *http.Request) {
	var wanted switchesWanted
	if err := read(w, r, &wanted); err != nil {
		refuse(w, err)
		return
	}
	if err := c.switches.set(wanted); err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (c *control) endSessions(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Agent *string `json:"agent"`
	}
	err := read(w, r, &wanted)
	if err == nil && wanted.Agent == nil {
		err = errors.New("agent is needed: how the user agent begins")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]int{"ended": endSessions(c.registry, *wanted.Agent)})
}

func (c *control) setGuest(w http.ResponseWriter, r *http.Request) {
	var wanted guestWanted
	err := read(w, r, &wanted)
	if err == nil {
		err = c.registry.Get(rulesReference).(*rules).setGuest(wanted)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// read takes a body that has nothing but what is known here: a switch with a wrong name would never be missed.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlMaxBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the body isn't as it should be: %w", err)
	}
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content)
}
