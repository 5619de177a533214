package main

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// drop is the name, among those of faults, of a connection that is closed without an answer.
const drop = "drop"

// forEver is the number of times of a failure that doesn't stop.
const forEver = -1

// switches make calls slow, fail, or never be answered. They work on whole HTTP requests, where none of the simulator's
// locks is held: a call that waits blocks no other.
type switches struct {
	registry  *simulator.Registry
	closed    chan struct{}
	closeOnce sync.Once
	sleep     func(time.Duration) // a test may look at who sleeps

	mu       sync.Mutex
	latency  time.Duration
	failures []*failure
	silent   []string
	changed  chan struct{} // closed when the silent hosts are others than before
}

// switchesWanted is the body of POST /switches: what isn't there stays as it is.
type switchesWanted struct {
	LatencyMS *int       `json:"latency_ms"`
	Failures  *[]failure `json:"failures"`
	Silent    *[]string  `json:"silent"`
	Full      *[]string  `json:"full"` // datastores
}

// failure is an order to let calls fail: the nth one that matches, and as many after it as there are times.
type failure struct {
	Method    string  `json:"method"`
	Host      *string `json:"host"`
	Nth       *int    `json:"nth"`
	Times     *int    `json:"times"`
	Fault     string  `json:"fault"`
	Privilege string  `json:"privilege"`
	After     bool    `json:"after"`

	seen int // calls so far that match
}

func newSwitches(registry *simulator.Registry) *switches {
	s := &switches{registry: registry, closed: make(chan struct{}), changed: make(chan struct{})}
	s.sleep = s.pause
	return s
}

// set throws the switches that are wanted, or none of them if one can't be.
func (s *switches) set(wanted switchesWanted) error {
	if err := s.check(wanted); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted.LatencyMS != nil {
		s.latency = time.Duration(*wanted.LatencyMS) * time.Millisecond
	}
	if wanted.Failures != nil {
		s.failures = nil
		for _, one := range *wanted.Failures {
			s.failures = append(s.failures, &one)
		}
	}
	if wanted.Silent != nil {
		s.silence(*wanted.Silent)
	}
	if wanted.Full != nil {
		s.fill(*wanted.Full)
	}
	return nil
}

// fill declares which datastores are full.
func (s *switches) fill(names []string) {
	rules := s.registry.Get(rulesReference).(*rules)
	rules.full.set(s.registry, names, func(store *simulator.Datastore, do func()) { rules.journal.locked(store, do) })
}

func (s *switches) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency, s.failures = 0, nil
	s.silence(nil)
	s.fill(nil)
}

func (s *switches) silence(hosts []string) {
	s.silent = hosts
	close(s.changed)
	s.changed = make(chan struct{})
}

// close lets each call go on that sleeps, and drops each that waits for a silent host.
func (s *switches) close() { s.closeOnce.Do(func() { close(s.closed) }) }

// switching does to each call what the switches say.
func (s *switches) switching(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one, ok := callOf(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		s.sleep(s.latencyNow())
		s.waitWhileSilent(r, one)
		failing := s.failing(one)
		if failing == nil {
			next.ServeHTTP(w, r)
			return
		}
		if failing.After {
			next.ServeHTTP(&heldAnswer{header: http.Header{}}, r)
		}
		s.fail(w, failing, one)
	})
}

func (s *switches) latencyNow() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latency
}

// pause goes on when the client has gone meanwhile: what was sent arrives.
func (s *switches) pause(how time.Duration) {
	if how == 0 {
		return
	}
	over := time.NewTimer(how)
	defer over.Stop()
	select {
	case <-over.C:
	case <-s.closed:
	}
}

// waitWhileSilent holds a call back while a host that it must reach is silent.
func (s *switches) waitWhileSilent(r *http.Request, one call) {
	for {
		silent, changed := s.silentNow()
		if !slices.ContainsFunc(silent, func(host string) bool { return s.needs(one, host) }) {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-s.closed:
			panic(http.ErrAbortHandler)
		}
	}
}

func (s *switches) silentNow() (hosts []string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent, s.changed
}

// failing is the failure that a call meets, if any. Each one that matches counts the call.
func (s *switches) failing(one call) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var met *failure
	for _, candidate := range s.failures {
		if candidate.Method != one.method || candidate.Host != nil && !s.reaches(one, *candidate.Host) {
			continue
		}
		candidate.seen++
		if met == nil && candidate.due() {
			met = candidate
		}
	}
	return met
}

func (f *failure) due() bool {
	nth, times := orOne(f.Nth), orOne(f.Times)
	return f.seen >= nth && (times == forEver || f.seen < nth+times)
}

func (s *switches) fail(w http.ResponseWriter, f *failure, one call) {
	if f.Fault == drop {
		panic(http.ErrAbortHandler) // net/http's own way to close a connection without an answer
	}
	fault := newFault(f.Fault)
	switch made := fault.(type) { // what a client can't read the fault without
	case *types.NoPermission:
		made.Object, made.PrivilegeId = s.entityOf(one.on), f.Privilege
	case *types.NotAuthenticated:
		made.Object, made.PrivilegeId = &one.on, "System.View"
	case *types.ManagedObjectNotFound:
		made.Obj = one.on
	case *types.TaskInProgress:
		made.Task = types.ManagedObjectReference{Type: "Task", Value: "task-elsewhere"}
	}
	answerFault(w, fault)
}

// entityOf is what a vCenter names where a privilege is missing: the host, not its manager that was called.
func (s *switches) entityOf(on types.ManagedObjectReference) *types.ManagedObjectReference {
	if hosts := s.hostsOf(on); len(hosts) == 1 {
		return &hosts[0].Self
	}
	return &on
}

// needs says whether a call can't be answered without a host: what pyVmomi fetches, a vCenter knows by itself.
func (s *switches) needs(one call, host string) bool {
	return (one.method != "Fetch" || s.registry.IsESX()) && s.reaches(one, host)
}

// reaches says whether a call is one on a host of that name, or on one of its managers.
func (s *switches) reaches(one call, host string) bool {
	return slices.ContainsFunc(s.hostsOf(one.on), func(h *simulator.HostSystem) bool { return h.Name == host })
}

// hostsOf are the hosts that an object belongs to: most managers are one host's own, some the simulator shares.
func (s *switches) hostsOf(on types.ManagedObjectReference) []*simulator.HostSystem {
	var found []*simulator.HostSystem
	for _, entity := range s.registry.All("HostSystem") {
		host, ok := entity.(*simulator.HostSystem)
		if ok && (host.Self.Value == on.Value || manages(host, on) || s.registry.IsESX()) {
			found = append(found, host)
		}
	}
	return found
}

func manages(host *simulator.HostSystem, on types.ManagedObjectReference) bool {
	managers := reflect.ValueOf(host.ConfigManager)
	for i := range managers.NumField() {
		if ref, ok := managers.Field(i).Interface().(*types.ManagedObjectReference); ok && ref != nil && ref.Value == on.Value {
			return true
		}
	}
	return false
}

// check says what is wrong with an order: a name that nothing has would never be missed by the test that gave it.
func (s *switches) check(wanted switchesWanted) error {
	if wanted.LatencyMS != nil && *wanted.LatencyMS < 0 {
		return fmt.Errorf("latency_ms is %d: it is 0 or more", *wanted.LatencyMS)
	}
	if wanted.Silent != nil {
		for _, host := range *wanted.Silent {
			if err := s.checkHost(host); err != nil {
				return fmt.Errorf("silent: %w", err)
			}
		}
	}
	if wanted.Full != nil {
		for _, name := range *wanted.Full {
			if err := s.checkDatastore(name); err != nil {
				return fmt.Errorf("full: %w", err)
			}
		}
	}
	if wanted.Failures != nil {
		for index, one := range *wanted.Failures {
			if err := s.checkFailure(one); err != nil {
				return fmt.Errorf("failures[%d]: %w", index, err)
			}
		}
	}
	return nil
}

func (s *switches) checkFailure(one failure) error {
	if one.Host != nil {
		if err := s.checkHost(*one.Host); err != nil {
			return err
		}
	}
	switch nth, times := orOne(one.Nth), orOne(one.Times); {
	case !isMethod(one.Method):
		return fmt.Errorf("there is no method %q", one.Method)
	case one.Fault != drop && newFault(one.Fault) == nil:
		return fmt.Errorf("there is no fault %q; %q closes the connection", one.Fault, drop)
	case one.Privilege != "" && one.Fault != "NoPermission":
		return fmt.Errorf("a privilege belongs to NoPermission, not to %s", one.Fault)
	case nth < 1:
		return fmt.Errorf("nth is %d: the first call is 1", nth)
	case times < 1 && times != forEver:
		return fmt.Errorf("times is %d: it is 1 or more, or %d for ever", times, forEver)
	}
	return nil
}

func (s *switches) checkHost(name string) error {
	for _, entity := range s.registry.All("HostSystem") {
		if entity.Entity().Name == name {
			return nil
		}
	}
	return fmt.Errorf("there is no host %q", name)
}

func (s *switches) checkDatastore(name string) error {
	for _, entity := range s.registry.All("Datastore") {
		if entity.Entity().Name == name {
			return nil
		}
	}
	return fmt.Errorf("there is no datastore %q", name)
}

func orOne(number *int) int {
	if number == nil {
		return 1
	}
	return *number
}

var typeNamed = types.TypeFunc()

// newFault is an empty fault of a name; nil if no fault has it.
func newFault(name string) types.BaseMethodFault {
	kind, ok := typeNamed(name)
	if !ok || kind.Kind() != reflect.Struct {
		return nil
	}
	fault, _ := reflect.New(kind).Interface().(types.BaseMethodFault)
	return fault
}

// isMethod says whether a name is a method's: its request is a type that names the called object.
func isMethod(name string) bool {
	kind, ok := typeNamed(name)
	if !ok || kind.Kind() != reflect.Struct || strings.HasSuffix(name, "RequestType") {
		return false
	}
	_, ok = kind.FieldByName("This")
	return ok
}
