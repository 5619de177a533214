package main

import (
	"bytes"
	"maps"
	"net/http"
	"sort"
	"sync"

	"github.com/vmware/govmomi/simulator"
)

// counts are how often each method was called, and how each login ended, since the start or the last reset.
type counts struct {
	mu      sync.Mutex
	calls   tally
	byAgent map[string]tally
	logins  map[string]logins
}

type tally map[string]int

// logins are counted by what the client was answered: a connection that is dropped counts as neither.
type logins struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
}

// openSession is a session as the control port shows it.
type openSession struct {
	Key   string `json:"key"`
	User  string `json:"user"`
	Agent string `json:"agent"`
}

// countsShown is the answer of GET /counts.
type countsShown struct {
	Calls    tally             `json:"calls"`
	ByAgent  map[string]tally  `json:"by_agent"`
	Logins   map[string]logins `json:"logins"`
	Sessions []openSession     `json:"sessions"`
}

func newCounts() *counts {
	c := new(counts)
	c.reset()
	return c
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.byAgent, c.logins = tally{}, map[string]tally{}, map[string]logins{}
}

// counting counts each call as it comes, so that one that is never answered counts too.
func (c *counts) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one, ok := callOf(r)
		if ok {
			c.count(one.method, r.UserAgent())
		}
		if one.method != "Login" {
			next.ServeHTTP(w, r)
			return
		}
		held := &heldAnswer{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(held, r)
		c.countLogin(r.UserAgent(), held)
		w.WriteHeader(held.status)
		_, _ = w.Write(held.body.Bytes())
	})
}

func (c *counts) count(method, agent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[method]++
	if c.byAgent[agent] == nil {
		c.byAgent[agent] = tally{}
	}
	c.byAgent[agent][method]++
}

func (c *counts) countLogin(agent string, answer *heldAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.logins[agent]
	switch {
	case answer.status == http.StatusOK:
		one.OK++
	case bytes.Contains(answer.body.Bytes(), []byte("<InvalidLoginFault ")):
		one.Failed++
	default:
		return
	}
	c.logins[agent] = one
}

func (c *counts) shown(registry *simulator.Registry) countsShown {
	sessions := openSessions(registry)
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := countsShown{maps.Clone(c.calls), map[string]tally{}, maps.Clone(c.logins), sessions}
	for agent, calls := range c.byAgent {
		shown.ByAgent[agent] = maps.Clone(calls)
	}
	return shown
}

// openSessions are those that the session manager knows, the oldest first.
func openSessions(registry *simulator.Registry) []openSession {
	list := sessionList(registry)
	sort.Slice(list, func(i, j int) bool { return list[i].LoginTime.Before(list[j].LoginTime) })
	open := []openSession{}
	for _, one := range list {
		open = append(open, openSession{one.Key, one.UserName, one.UserAgent})
	}
	return open
}
