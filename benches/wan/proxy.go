package main

import (
	"log"
	"net"
	"time"
)

// chunk is what was read at once, and when the other side may see it.
type chunk struct {
	bytes []byte
	due   time.Time
}

// Chunks that are on their way in one direction of a connection: with 64 KiB each, more than any of the peers has under way.
const inFlight = 256

// serve accepts connections for ever and joins each to one of its own to `to`. What is sent arrives half a round trip later,
// whatever its size; a new connection costs a whole one, as the handshake of TCP does. What comes back is no faster than `rate`
// bytes a second on one connection, if that is not 0.
func serve(listener net.Listener, to string, roundTrip time.Duration, rate int) {
	for {
		near, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go join(near, to, roundTrip, rate)
	}
}

func join(near net.Conn, to string, roundTrip time.Duration, rate int) {
	opened := time.Now().Add(roundTrip)
	far, err := net.Dial("tcp", to)
	if err != nil {
		near.Close()
		return
	}
	go carry(near, far, opened, roundTrip/2, 0)
	carry(far, near, opened, roundTrip/2, rate)
}

// carry moves bytes from one connection to the other until the first ends, and ends the second then. Nothing that was sent
// counts as sent before `opened`, nor before what was sent before it has passed at `rate` bytes a second.
func carry(from, to net.Conn, opened time.Time, delay time.Duration, rate int) {
	chunks := make(chan chunk, inFlight)
	go func() {
		defer close(chunks)
		var free time.Time
		for {
			bytes := make([]byte, 64<<10)
			n, err := from.Read(bytes)
			if n > 0 {
				sent := time.Now()
				if sent.Before(opened) {
					sent = opened
				}
				if rate > 0 {
					if sent.Before(free) {
						sent = free
					}
					sent = sent.Add(time.Duration(n) * time.Second / time.Duration(rate))
					free = sent
				}
				chunks <- chunk{bytes[:n], sent.Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for next := range chunks {
		time.Sleep(time.Until(next.due))
		if _, err := to.Write(next.bytes); err != nil {
			// Read on, so that the other half is not held up.
			from.Close()
			break
		}
	}
	for range chunks {
	}
	if half, ok := to.(*net.TCPConn); ok {
		half.CloseWrite()
	}
}
