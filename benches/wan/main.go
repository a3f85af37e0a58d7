// Command wan is what benches/compare-wan.sh, compare-growth.sh and compare-scale.sh need beside the peers: a proxy that delays, and the
// artifacts that are moved.
//
//	wan proxy ADDRESS MILLISECONDS   prints the address at which it listens; MILLISECONDS are a round trip. The variable WAN_RATE
//	                                 bounds what one connection gets, in bytes a second
//	wan corpus ADDRESS ATTACHED      puts 50 artifacts, with so many attached to each; prints references
//	wan memory LIST BLOBS            prints the address of a registry in memory with images of 100 small blobs each, and writes
//	                                 their references to the file LIST
//	wan images LIST NUMBER           the same with so many images, ten in each repository, of WAN_LAYERS layers of WAN_BYTES bytes
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
		log.Fatal("usage: wan proxy|corpus|memory|images ADDRESS NUMBER")
	}
	address := os.Args[2]
	number, err := strconv.Atoi(os.Args[3])
	must(err)
	switch os.Args[1] {
	case "proxy":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		fmt.Println(listener.Addr())
		serve(listener, address, time.Duration(number)*time.Millisecond, variable("WAN_RATE", 0))
	case "corpus":
		corpus(registry{"http://" + address}, number)
	case "memory":
		serveMemory(address, number)
	case "images":
		serveImages(address, number, variable("WAN_LAYERS", 2), variable("WAN_BYTES", 2000))
	default:
		log.Fatalf("%q is neither proxy, corpus, memory nor images", os.Args[1])
	}
}

// variable is the number in an environment variable, or `usual` where it is not set.
func variable(name string, usual int) int {
	text, found := os.LookupEnv(name)
	if !found {
		return usual
	}
	number, err := strconv.Atoi(text)
	must(err)
	return number
}
