package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	ociImage = "application/vnd.oci.image.manifest.v1+json"
	ociIndex = "application/vnd.oci.image.index.v1+json"
)

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type descriptor struct {
	MediaType    string    `json:"mediaType"`
	Digest       string    `json:"digest"`
	Size         int       `json:"size"`
	Platform     *platform `json:"platform,omitempty"`
	ArtifactType string    `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
	Subject       *descriptor  `json:"subject,omitempty"`
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func described(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content)}
}

// registry is where the corpus goes.
type registry struct{ base string }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func (r registry) call(method, address, mediaType string, content []byte) *http.Response {
	request, err := http.NewRequest(method, address, bytes.NewReader(content))
	must(err)
	request.Header.Set("Content-Type", mediaType)
	answer, err := http.DefaultClient.Do(request)
	must(err)
	said, err := io.ReadAll(answer.Body)
	must(err)
	answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		log.Fatalf("%s %s: %s: %s", method, address, answer.Status, said)
	}
	return answer
}

func (r registry) blob(repository, mediaType string, content []byte) descriptor {
	begun := r.call("POST", r.base+"/v2/"+repository+"/blobs/uploads/", "application/octet-stream", nil)
	session, err := begun.Location()
	must(err)
	query := session.Query()
	query.Set("digest", digestOf(content))
	session.RawQuery = query.Encode()
	r.call("PUT", session.String(), "application/octet-stream", content)
	return described(mediaType, content)
}

func (r registry) manifest(repository, name string, content manifest) descriptor {
	raw, err := json.Marshal(content)
	must(err)
	if name == "" {
		name = digestOf(raw)
	}
	r.call("PUT", r.base+"/v2/"+repository+"/manifests/"+url.PathEscape(name), content.MediaType, raw)
	return described(content.MediaType, raw)
}

// noise is content that no two calls share; the same seed gives the same corpus.
func noise(random *rand.Rand, size int) []byte {
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return content
}

// image puts an image of so many layers.
func (r registry) image(random *rand.Rand, repository, name, architecture string, layers, size int) descriptor {
	config := fmt.Sprintf(`{"os":"linux","architecture":%q,"config":{"Labels":{"n":"%x"}},"rootfs":{"type":"layers","diff_ids":[]}}`,
		architecture, noise(random, 8))
	described := r.blob(repository, "application/vnd.oci.image.config.v1+json", []byte(config))
	content := manifest{SchemaVersion: 2, MediaType: ociImage, Config: &described}
	for range layers {
		layer := r.blob(repository, "application/vnd.oci.image.layer.v1.tar+gzip", noise(random, size))
		content.Layers = append(content.Layers, layer)
	}
	return r.manifest(repository, name, content)
}

// attach puts `count` artifacts that name `subject`, each with a layer of its own, and their list under the fallback tag.
func (r registry) attach(random *rand.Rand, repository string, subject descriptor, count int) {
	list := manifest{SchemaVersion: 2, MediaType: ociIndex}
	empty := r.blob(repository, "application/vnd.oci.empty.v1+json", []byte("{}"))
	for n := range count {
		kind := fmt.Sprintf("application/vnd.example.statement.%d", n)
		layer := r.blob(repository, "application/json", fmt.Appendf(nil, `{"statement":"%x"}`, noise(random, 100)))
		one := manifest{SchemaVersion: 2, MediaType: ociImage, ArtifactType: kind, Config: &empty,
			Layers: []descriptor{layer}, Subject: &subject}
		put := r.manifest(repository, "", one)
		put.ArtifactType = kind
		list.Manifests = append(list.Manifests, put)
	}
	r.manifest(repository, strings.Replace(subject.Digest, ":", "-", 1), list)
}

// corpus puts 50 artifacts with 315 objects into the registry: 35 images, and 15 indexes of two images, each in a repository of
// its own. Prints their references.
func corpus(r registry, attached int) {
	const artifacts, indexes = 50, 15
	lines := make([]string, artifacts)
	var all sync.WaitGroup
	for n := range artifacts {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			repository, size := fmt.Sprintf("team/app-%02d", n), 20_000
			if n%10 == 0 {
				size = 1_500_000
			}
			var root descriptor
			if n < indexes {
				content := manifest{SchemaVersion: 2, MediaType: ociIndex}
				for _, architecture := range []string{"amd64", "arm64"} {
					image := r.image(random, repository, "", architecture, 2, size)
					image.Platform = &platform{"linux", architecture}
					content.Manifests = append(content.Manifests, image)
				}
				root = r.manifest(repository, "v1", content)
			} else {
				// 110 layers over 35 images.
				layers := 3
				if n < indexes+5 {
					layers = 4
				}
				root = r.image(random, repository, "v1", "amd64", layers, size)
			}
			if attached > 0 {
				r.attach(random, repository, root, attached)
			}
			lines[n] = repository + ":v1"
		})
	}
	all.Wait()
	fmt.Println(strings.Join(lines, "\n"))
}
