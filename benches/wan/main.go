// Command wan is what benches/compare-wan.sh and benches/compare-growth.sh need beside the peers: a proxy that delays, and the
// artifacts that are moved.
//
//	wan proxy ADDRESS MILLISECONDS   prints the address at which it listens; MILLISECONDS are a round trip
//	wan corpus ADDRESS ATTACHED      puts 50 artifacts, with so many attached to each; prints references
//	wan memory LIST BLOBS            prints the address of a registry in memory with images of 100 small blobs each, and writes
//	                                 their references to the file LIST
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: wan proxy|corpus|memory ADDRESS NUMBER")
	}
	address := os.Args[2]
	number, err := strconv.Atoi(os.Args[3])
	must(err)
	switch os.Args[1] {
	case "proxy":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		fmt.Println(listener.Addr())
		serve(listener, address, time.Duration(number)*time.Millisecond)
	case "corpus":
		corpus(registry{"http://" + address}, number)
	case "memory":
		serveMemory(address, number)
	default:
		log.Fatalf("%q is neither proxy, corpus nor memory", os.Args[1])
	}
}
