// Command door is a VCH's TLS: it ends TLS on the VCH's address as a Go server does, for what lies behind it.
//
// A client certificate of vic-machine's has its issuer's subject. OpenSSL, and so Python, refuses it as self-signed; a
// VCH's own verifier, Go's, accepts it: so the lab uses that one.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"
)

const handshakeLimit = 10 * time.Second

// door is one address and what is behind it. All of it comes on standard input, since there is a key in it.
type door struct {
	Listen      string // address and port, on loopback
	Behind      string // path of a unix socket
	Certificate string // PEM
	Key         string // PEM
	Authorities string // PEM; empty: clients need no certificate
}

func main() {
	input := bufio.NewReader(os.Stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		log.Fatal(err)
	}
	var doors []door
	if err := json.Unmarshal(line, &doors); err != nil {
		log.Fatal("what came on standard input isn't a list of doors") // the error's text would show what came
	}
	for _, one := range doors {
		listener, err := one.open()
		if err != nil {
			log.Fatal(err)
		}
		go one.serve(listener)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, input) // whoever started us holds the other end: we end with them
}

func (d door) open() (net.Listener, error) {
	host, _, err := net.SplitHostPort(d.Listen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", host)
	}
	pair, err := tls.X509KeyPair([]byte(d.Certificate), []byte(d.Key))
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if d.Authorities != "" {
		settings.ClientAuth = tls.RequireAndVerifyClientCert
		settings.ClientCAs = x509.NewCertPool()
		if !settings.ClientCAs.AppendCertsFromPEM([]byte(d.Authorities)) {
			return nil, fmt.Errorf("there is no certificate among the authorities")
		}
	}
	return tls.Listen("tcp", d.Listen, settings)
}

func (d door) serve(listener net.Listener) {
	for {
		guest, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go d.lead(guest.(*tls.Conn))
	}
}

// lead takes a guest to what is behind the door, both ways, each closed on its own.
func (d door) lead(guest *tls.Conn) {
	defer guest.Close()
	_ = guest.SetDeadline(time.Now().Add(handshakeLimit))
	if err := guest.Handshake(); err != nil {
		log.Printf("refused at %s: %v", d.Listen, err)
		return
	}
	_ = guest.SetDeadline(time.Time{})
	behind, err := net.Dial("unix", d.Behind)
	if err != nil {
		log.Print(err)
		return
	}
	defer behind.Close()
	said := make(chan struct{})
	go func() {
		_, _ = io.Copy(behind, guest)
		_ = behind.(*net.UnixConn).CloseWrite()
		close(said)
	}()
	_, _ = io.Copy(guest, behind)
	_ = guest.CloseWrite()
	_ = guest.SetReadDeadline(time.Now().Add(handshakeLimit)) // a guest who never ends is left
	<-said
}
