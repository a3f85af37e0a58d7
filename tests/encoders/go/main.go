// Compresses by Go's own gzip. A request on the standard input is the level (one signed byte), the bytes of a block (four bytes, 0
// here: one stream), the length of the content (four bytes) and the content; the answer is the length of the gzip stream (four
// bytes) and the stream. Numbers are little-endian. With any argument it prints the version of Go instead.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
)

type request struct {
	Level         int8
	Block, Length uint32
}

func main() {
	if len(os.Args) > 1 {
		fmt.Println(runtime.Version())
		return
	}
	input := bufio.NewReader(os.Stdin)
	for {
		var asked request
		if binary.Read(input, binary.LittleEndian, &asked) == io.EOF {
			return
		}
		content := make([]byte, asked.Length)
		must(io.ReadFull(input, content))
		// The length goes before the stream.
		made := bytes.NewBuffer(make([]byte, 4))
		writer := must(gzip.NewWriterLevel(made, int(asked.Level)))
		must(writer.Write(content))
		check(writer.Close())
		binary.LittleEndian.PutUint32(made.Bytes(), uint32(made.Len()-4))
		must(os.Stdout.Write(made.Bytes()))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
