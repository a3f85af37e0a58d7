package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

// memory is a registry that keeps everything in memory, whatever the repository: it costs as little as one can, so that what is
// measured is the client.
type memory struct {
	lock sync.RWMutex
	// By digest.
	blobs map[string][]byte
	// By `repository:tag` and by digest.
	manifests map[string][]byte
}

// Blobs of one image, its config among them.
const blobsOfImage = 100

// serveMemory fills a registry with images of small blobs, and serves it.
func serveMemory(list string, blobs int) {
	m := &memory{blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	file, err := os.Create(list)
	must(err)
	random := rand.New(rand.NewPCG(uint64(blobs), 2))
	for n := 0; n*blobsOfImage < blobs; n++ {
		name := fmt.Sprintf("many/app-%d:v%d", n%50, n)
		m.image(random, name, min(blobsOfImage, blobs-n*blobsOfImage)-1, 2_000)
		fmt.Fprintf(file, "%s/%s\n", listener.Addr(), name)
	}
	must(file.Close())
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, m))
}

// serveImages fills a registry with images of so many layers, ten in each repository, and serves it.
func serveImages(list string, images, layers, bytes int) {
	m := &memory{blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	file, err := os.Create(list)
	must(err)
	random := rand.New(rand.NewPCG(uint64(images), 3))
	for n := range images {
		name := fmt.Sprintf("scale/app-%d:v%d", n/10, n%10)
		m.image(random, name, layers, bytes)
		fmt.Fprintf(file, "%s/%s\n", listener.Addr(), name)
	}
	must(file.Close())
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, m))
}

func (m *memory) keep(mediaType string, content []byte) descriptor {
	m.blobs[digestOf(content)] = content
	return described(mediaType, content)
}

func (m *memory) image(random *rand.Rand, name string, layers, bytes int) {
	config := m.keep("application/vnd.oci.image.config.v1+json", fmt.Appendf(nil, `{"n":"%x"}`, noise(random, 8)))
	image := manifest{SchemaVersion: 2, MediaType: ociImage, Config: &config}
	for range layers {
		image.Layers = append(image.Layers, m.keep("application/vnd.oci.image.layer.v1.tar+gzip", noise(random, bytes)))
	}
	raw, err := json.Marshal(image)
	must(err)
	m.manifests[name], m.manifests[digestOf(raw)] = raw, raw
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	repository, rest, found := strings.Cut(path, "/manifests/")
	if found {
		m.serveManifest(w, r, repository, rest)
		return
	}
	if repository, rest, found = strings.Cut(path, "/blobs/"); found {
		m.serveBlob(w, r, repository, rest)
		return
	}
	if path != "" {
		http.NotFound(w, r)
	}
}

func (m *memory) serveManifest(w http.ResponseWriter, r *http.Request, repository, name string) {
	key := name
	if !strings.HasPrefix(name, "sha256:") {
		key = repository + ":" + name
	}
	if r.Method == http.MethodPut {
		raw, err := io.ReadAll(r.Body)
		must(err)
		m.lock.Lock()
		m.manifests[key], m.manifests[digestOf(raw)] = raw, raw
		m.lock.Unlock()
		w.WriteHeader(http.StatusCreated)
		return
	}
	m.lock.RLock()
	raw, found := m.manifests[key]
	m.lock.RUnlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Docker-Content-Digest", digestOf(raw))
	send(w, ociImage, raw)
}

func (m *memory) serveBlob(w http.ResponseWriter, r *http.Request, repository, name string) {
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/one")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		content, err := io.ReadAll(r.Body)
		must(err)
		if digest := r.URL.Query().Get("digest"); digestOf(content) != digest {
			http.Error(w, "another digest", http.StatusBadRequest)
			return
		}
		m.lock.Lock()
		m.blobs[digestOf(content)] = content
		m.lock.Unlock()
		w.WriteHeader(http.StatusCreated)
	default:
		m.lock.RLock()
		content, found := m.blobs[name]
		m.lock.RUnlock()
		if !found {
			http.NotFound(w, r)
			return
		}
		send(w, "application/octet-stream", content)
	}
}

// send answers with content; to HEAD net/http sends the length alone.
func send(w http.ResponseWriter, mediaType string, content []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	w.Write(content)
}
