// Compresses inputs by Go's own gzip: each is read behind its length in four bytes, and what each level given as an argument
// makes of it is written in the same way.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"strconv"
)

func main() {
	input := must(io.ReadAll(os.Stdin))
	for len(input) > 0 {
		length := binary.LittleEndian.Uint32(input)
		content := input[4 : 4+length]
		input = input[4+length:]
		for _, level := range os.Args[1:] {
			var made bytes.Buffer
			writer := must(gzip.NewWriterLevel(&made, must(strconv.Atoi(level))))
			must(writer.Write(content))
			check(writer.Close())
			check(binary.Write(os.Stdout, binary.LittleEndian, uint32(made.Len())))
			must(os.Stdout.Write(made.Bytes()))
		}
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
