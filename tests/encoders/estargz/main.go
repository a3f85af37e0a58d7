// Makes an eStargz layer, a gzip stream of many members, of the tar that it reads.
package main

import (
	"bytes"
	"io"
	"os"

	"github.com/containerd/stargz-snapshotter/estargz"
)

func main() {
	input := must(io.ReadAll(os.Stdin))
	tar := io.NewSectionReader(bytes.NewReader(input), 0, int64(len(input)))
	layer := must(estargz.Build(tar, estargz.WithChunkSize(64<<10)))
	must(io.Copy(os.Stdout, layer))
	check(layer.Close())
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
