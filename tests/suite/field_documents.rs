//! Documents with `null` and without what they may leave out: what docker's registry takes, ours takes too.

use airlift::oci::{Descriptor, media_type};
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Serving,
    artifacts::Blob,
    needs,
    registry::{Options, Registry},
};

/// The documents, each with what it is put as.
fn documents(config: &Descriptor, layer: &Descriptor) -> Vec<(&'static str, Value)> {
    let (oci, docker) = (media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST);
    let (index, list) = (media_type::OCI_INDEX, media_type::DOCKER_MANIFEST_LIST);
    let bare = |of: &Descriptor, members: Value| {
        let mut whole = json!({"mediaType": of.media_type, "digest": of.digest, "size": of.size});
        let own = whole.as_object_mut().unwrap();
        own.extend(members.as_object().unwrap().clone());
        whole
    };
    let nulls = bare(layer, json!({"urls": null, "annotations": null, "platform": null, "artifactType": null}));
    let values =
        bare(layer, json!({"annotations": {"a": null, "b": "c"}, "platform": {"os": null, "architecture": null}}));
    let untyped = bare(layer, json!({"mediaType": null}));
    let mut all = Vec::new();
    for layers in [json!(null), json!([]), json!([nulls]), json!([values]), json!([untyped])] {
        for own in [json!(oci), json!(null), json!("")] {
            all.push((oci, json!({"schemaVersion": 2, "mediaType": own, "config": config, "layers": layers})));
        }
        all.push((docker, json!({"schemaVersion": 2, "mediaType": docker, "config": config, "layers": layers})));
    }
    all.push((oci, json!({"schemaVersion": 2, "mediaType": oci, "config": config})));
    all.push((oci, json!({"schemaVersion": 2, "config": null, "layers": []})));
    all.push((oci, json!({"schemaVersion": 2, "config": config, "layers": [], "annotations": null, "subject": null})));
    all.push((oci, json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": null})));
    all.push((docker, json!({"schemaVersion": 2, "mediaType": docker, "config": config, "layers": [null]})));
    for manifests in [json!(null), json!([])] {
        all.push((index, json!({"schemaVersion": 2, "mediaType": index, "manifests": manifests})));
        all.push((list, json!({"schemaVersion": 2, "mediaType": list, "manifests": manifests})));
    }
    all.push((index, json!({"schemaVersion": 2, "mediaType": index})));
    all.push((index, json!({"schemaVersion": 2, "manifests": [], "layers": null, "config": null})));
    all
}

#[test]
fn our_registry_takes_every_document_that_dockers_takes() {
    needs!("docker-registry");
    let (theirs, ours) = (Registry::start(Options::default()), Serving::empty());
    let (config, layer) = (Blob::new("application/vnd.oci.image.config.v1+json", "{}"), Blob::layer(1, 100));
    for blob in [&config, &layer] {
        let content = blob.content.clone().unwrap();
        theirs.push_blob("team/app", content.clone());
        ours.push_blob("team/app", &content);
    }
    let mut taken = 0;
    for (content_type, document) in documents(&config.descriptor, &layer.descriptor) {
        let raw = Bytes::from(document.to_string());
        if !theirs.put_manifest("team/app", "v1", content_type, raw.clone()).status.is_success() {
            continue;
        }
        taken += 1;
        let headers = [("content-type", content_type)];
        let answer = ours.send(Method::PUT, "/v2/team/app/manifests/v1", &headers, raw);
        assert!(answer.status.is_success(), "{document}: {}", String::from_utf8_lossy(&answer.body));
        let back = theirs.manifest("team/app", "v1").expect("it was taken a moment ago");
        assert_eq!(back.raw(), &Bytes::from(document.to_string()), "and read back, it is a manifest");
    }
    assert!(taken > 5, "docker's registry took {taken}");
}
