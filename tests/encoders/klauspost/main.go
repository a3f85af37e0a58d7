// Compresses inputs by klauspost's gzip, or by pgzip where the first argument is a size of blocks and not 0: each is read behind
// its length in four bytes, and what each level given as a further argument makes of it is written in the same way.
package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/pgzip"
)

func main() {
	block := must(strconv.Atoi(os.Args[1]))
	input := must(io.ReadAll(os.Stdin))
	for len(input) > 0 {
		length := binary.LittleEndian.Uint32(input)
		content := input[4 : 4+length]
		input = input[4+length:]
		for _, level := range os.Args[2:] {
			var made bytes.Buffer
			writer := open(&made, must(strconv.Atoi(level)), block)
			must(writer.Write(content))
			check(writer.Close())
			check(binary.Write(os.Stdout, binary.LittleEndian, uint32(made.Len())))
			must(os.Stdout.Write(made.Bytes()))
		}
	}
}

func open(to io.Writer, level, block int) io.WriteCloser {
	if block == 0 {
		return must(gzip.NewWriterLevel(to, level))
	}
	parallel := must(pgzip.NewWriterLevel(to, level))
	check(parallel.SetConcurrency(block, 1))
	return parallel
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
