// Compresses by klauspost's gzip, or by pgzip where the size of a block is not 0. A request on the standard input is the level (one
// signed byte), the bytes of a block (four bytes), the length of the content (four bytes) and the content; the answer is the
// length of the gzip stream (four bytes) and the stream. Numbers are little-endian.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/pgzip"
)

type request struct {
	Level         int8
	Block, Length uint32
}

func main() {
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
		writer := open(made, int(asked.Level), int(asked.Block))
		must(writer.Write(content))
		check(writer.Close())
		binary.LittleEndian.PutUint32(made.Bytes(), uint32(made.Len()-4))
		must(os.Stdout.Write(made.Bytes()))
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
