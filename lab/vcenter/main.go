// Command vcenter is the lab's vCenter: govmomi's simulator, with what a real one refuses and remembers.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"

	_ "github.com/vmware/govmomi/pbm/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

type options struct {
	listen, control, state, cert, key, credentials string
	size                                           size
}

func main() {
	o := options{size: usualSize}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address and port, on loopback")
	flag.StringVar(&o.control, "control", "", "address and port of the tests' control port, on loopback; none without it")
	flag.StringVar(&o.state, "state", "", "folder for datastores and the inventory's journal")
	flag.StringVar(&o.cert, "tlscert", "", "certificate, PEM")
	flag.StringVar(&o.key, "tlskey", "", "its key, PEM")
	flag.StringVar(&o.credentials, "credentials", "", "JSON file with user and password, and with others if wanted")
	flag.BoolVar(&o.size.ESX, "esx", o.size.ESX, "a single ESXi host instead of a vCenter")
	flag.IntVar(&o.size.Datacenters, "datacenters", o.size.Datacenters, "datacenters")
	flag.IntVar(&o.size.Clusters, "clusters", o.size.Clusters, "clusters in a datacenter")
	flag.IntVar(&o.size.ClusterHosts, "cluster-hosts", o.size.ClusterHosts, "hosts in a cluster")
	flag.IntVar(&o.size.Hosts, "standalone-hosts", o.size.Hosts, "hosts beside the clusters, in a datacenter")
	flag.IntVar(&o.size.Pools, "pools", o.size.Pools, "resource pools in a cluster, beside its root pool")
	flag.IntVar(&o.size.Datastores, "datastores", o.size.Datastores, "datastores in a datacenter")
	flag.IntVar(&o.size.PortGroups, "port-groups", o.size.PortGroups, "distributed port groups in a datacenter")
	flag.Parse()

	server, journal, err := serve(o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("serves %s\n", server.URL.Host)
	if o.control != "" {
		control, err := openControl(o.control, server, journal.model)
		if err != nil {
			log.Fatal(err)
		}
		defer control.close()
		fmt.Printf("control %s\n", control.address)
	}

	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
	journal.close()
}

// serve brings the whole site up: the inventory as it was left, then the server.
func serve(o options) (*simulator.Server, *journal, error) {
	if err := onLoopback(o.listen); err != nil {
		return nil, nil, err
	}
	if o.control != "" {
		if err := onLoopback(o.control); err != nil {
			return nil, nil, fmt.Errorf("-control: %w", err)
		}
	}
	if o.state == "" {
		return nil, nil, fmt.Errorf("-state is needed: the folder for datastores and the inventory's journal")
	}
	known, err := readAccounts(o.credentials)
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, nil, err
	}
	model, err := newSite(o.size, o.state)
	if err != nil {
		return nil, nil, err
	}
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{Host: o.listen, User: url.UserPassword(known[0].User, known[0].Password)}
	model.Map().SessionManager().ValidLogin = known.accepts
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}

	kept, err := openJournal(model, o.state, o.size)
	if err != nil {
		return nil, nil, err
	}
	files := installRules(model, kept, known)
	server := model.Service.NewServer()
	server.Config.Handler = guarded(model, files.serve(kept.beforeAnswer(server.Config.Handler)))
	go kept.follow()
	return server, kept, nil
}

func onLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: the lab listens nowhere else", host)
	}
	return nil
}
