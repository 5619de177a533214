package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// call is what a SOAP request says at its beginning: which method, on which object.
type call struct {
	method string
	on     types.ManagedObjectReference
}

type callKey struct{}

// withCalls reads each SOAP request's beginning once, for all handlers behind it.
func withCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, vim25.Path) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, readCall(body))))
	})
}

// callOf is a request's call; false if it is none that a vCenter would understand.
func callOf(r *http.Request) (call, bool) {
	one, _ := r.Context().Value(callKey{}).(call)
	return one, one.method != ""
}

// readCall looks no further than the object that is called: what follows may be long.
func readCall(body []byte) call {
	var one call
	decoder := xml.NewDecoder(bytes.NewReader(body))
	within := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return one
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok || start.Name.Local == "Envelope":
		case !within && start.Name.Local == "Body":
			within = true
		case !within: // the header, which may have a "Body" of its own
			if decoder.Skip() != nil {
				return one
			}
		case one.method == "":
			one.method = start.Name.Local
		default:
			if start.Name.Local == "_this" {
				_ = decoder.DecodeElement(&one.on, &start)
			}
			return one
		}
	}
}

var noEntity = regexp.MustCompile(`<entity type="(?:FileManager|VirtualDiskManager|HostDatastoreBrowser)">[^<]*</entity>`)

// showEntities leaves out of a task's description an object that is none of the inventory, which the simulator names
// there: clients that know the type of that property, like pyVmomi, can't read it.
func showEntities(answer []byte) []byte {
	if !noEntity.Match(answer) {
		return answer
	}
	return noEntity.ReplaceAll(answer, nil)
}

// faultText is the simulator's own form of a fault: the sentence and the fault itself go into it.
const faultText = xml.Header + `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"` +
	` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>` +
	`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>%s</detail></soapenv:Fault>` +
	`</soapenv:Body></soapenv:Envelope>`

// answerFault answers a call with a fault in the place of the simulator.
func answerFault(w http.ResponseWriter, fault types.BaseMethodFault) {
	var said, detail bytes.Buffer
	_ = xml.EscapeText(&said, []byte(sentence(fault)))
	kind := reflect.TypeOf(fault).Elem().Name()
	element := xml.StartElement{Name: xml.Name{Local: kind + "Fault"}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace},
		{Name: xml.Name{Local: "xsi:type"}, Value: kind},
	}}
	if err := xml.NewEncoder(&detail).EncodeElement(fault, element); err != nil {
		log.Printf("%s can't be written: %s", kind, err)
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = fmt.Fprintf(w, faultText, said.String(), detail.String())
}
