// Command vcenter is the lab's vCenter: govmomi's simulator, with what a real one refuses and remembers.
package main

import (
	"crypto/tls"
	"encoding/json"
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
	listen, state, cert, key, credentials string
	size                                  size
}

// login is what the credentials file holds; it never stands on a command line.
type login struct{ User, Password string }

func main() {
	o := options{size: usualSize}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address and port, on loopback")
	flag.StringVar(&o.state, "state", "", "folder for datastores and the inventory's journal")
	flag.StringVar(&o.cert, "tlscert", "", "certificate, PEM")
	flag.StringVar(&o.key, "tlskey", "", "its key, PEM")
	flag.StringVar(&o.credentials, "credentials", "", "JSON file with user and password")
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
	if o.state == "" {
		return nil, nil, fmt.Errorf("-state is needed: the folder for datastores and the inventory's journal")
	}
	who, err := readLogin(o.credentials)
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
	model.Service.Listen = &url.URL{Host: o.listen, User: url.UserPassword(who.User, who.Password)}
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}

	kept, err := openJournal(model, o.state, o.size)
	if err != nil {
		return nil, nil, err
	}
	installRules(model, kept)
	server := model.Service.NewServer()
	server.Config.Handler = guarded(model, kept.beforeAnswer(server.Config.Handler))
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

func readLogin(file string) (login, error) {
	var who login
	data, err := os.ReadFile(file)
	if err != nil {
		return who, err
	}
	if err := json.Unmarshal(data, &who); err != nil {
		return who, fmt.Errorf("%s: no JSON object with user and password", file)
	}
	if who.User == "" || who.Password == "" {
		return who, fmt.Errorf("%s: user and password are needed", file)
	}
	return who, nil
}
