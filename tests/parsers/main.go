// Reads what `airlift mirror-config` wrote with the code of those who will read it, and prints what they make of it.
//
//	parsers k3s registries.yaml REFERENCE    pulls the manifest as k3s does before containerd runs; prints its digest
//	parsers openshift mirrors.yaml           decodes by OpenShift's own types, unknown fields refused; prints JSON
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	openshift "github.com/openshift/api/config/v1"
	k3s "github.com/rancher/wharfie/pkg/registries"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What a set of mirrors says, whichever kind it is.
type entry struct {
	Kind    string   `json:"kind"`
	Source  string   `json:"source"`
	Mirrors []string `json:"mirrors"`
	Policy  string   `json:"policy"`
}

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 4 && os.Args[1] == "k3s":
		fmt.Println(pull(os.Args[2], os.Args[3]))
	case len(os.Args) == 3 && os.Args[1] == "openshift":
		must(json.NewEncoder(os.Stdout).Encode(sets(os.Args[2])))
	default:
		log.Fatal("parsers k3s FILE REFERENCE | parsers openshift FILE")
	}
}

func pull(file, text string) string {
	registries, err := k3s.GetPrivateRegistries(file)
	must(err)
	reference, err := name.ParseReference(text)
	must(err)
	image, err := registries.Image(reference)
	must(err)
	digest, err := image.Digest()
	must(err)
	return digest.String()
}

func sets(file string) []entry {
	text, err := os.ReadFile(file)
	must(err)
	var found []entry
	for _, document := range bytes.Split(text, []byte("---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var kind metav1.TypeMeta
		must(yaml.Unmarshal(document, &kind))
		if kind.APIVersion != openshift.GroupVersion.String() {
			log.Fatalf("%s is not of this API", kind.APIVersion)
		}
		add := func(source string, mirrors []openshift.ImageMirror, policy openshift.MirrorSourcePolicy) {
			one := entry{Kind: kind.Kind, Source: source, Policy: string(policy)}
			for _, mirror := range mirrors {
				one.Mirrors = append(one.Mirrors, string(mirror))
			}
			found = append(found, one)
		}
		switch kind.Kind {
		case "ImageDigestMirrorSet":
			var set openshift.ImageDigestMirrorSet
			must(yaml.UnmarshalStrict(document, &set))
			for _, one := range set.Spec.ImageDigestMirrors {
				add(one.Source, one.Mirrors, one.MirrorSourcePolicy)
			}
		case "ImageTagMirrorSet":
			var set openshift.ImageTagMirrorSet
			must(yaml.UnmarshalStrict(document, &set))
			for _, one := range set.Spec.ImageTagMirrors {
				add(one.Source, one.Mirrors, one.MirrorSourcePolicy)
			}
		default:
			log.Fatalf("%s is of no kind that mirrors have", kind.Kind)
		}
	}
	return found
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
