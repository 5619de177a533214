// probe is all that the tests' containers hold: it serves a file over HTTP, or asks a server and prints the answer.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: probe serve FOLDER | ask URL | put FILE")
	}
	command, what := os.Args[1], os.Args[2]
	switch command {
	case "serve":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		go func() { <-stop; os.Exit(0) }()
		log.Fatal(http.ListenAndServe(":80", http.FileServer(http.Dir(what))))
	case "ask":
		client := http.Client{Timeout: 3 * time.Second}
		answer, err := client.Get(what)
		if err != nil {
			log.Fatal(err)
		}
		defer answer.Body.Close()
		io.Copy(os.Stdout, answer.Body)
	case "put":
		if err := os.WriteFile(what, []byte("kept"), 0o644); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatalf("no command %q", command)
	}
}
