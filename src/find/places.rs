//! Places that name images by what they are: containers, variables, arguments, lists, annotations, schemas.

use super::{
    candidate::{self, PossibleReference, is_template},
    finding::{Confidence, Unresolved},
    keys,
    tree::{Documents, Id},
    walk::{PathStep, Role, Walker},
};

impl<'a> Walker<'a> {
    /// What the place of a mapping says of its members.
    pub(super) fn by_role(&mut self, role: Role, entries: &[(&'a str, Id)], taken: &mut Vec<Id>) {
        let find = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let sure: Option<(Id, &'static str, &'static str)> = match role {
            Role::Container => find("image").map(|id| (id, "image", "pod-spec")),
            Role::RelatedImage => find("image").map(|id| (id, "image", "related-images")),
            Role::Volume => find("image")
                .and_then(|volume| self.tree.get(volume, "reference"))
                .map(|id| (id, "image.reference", "image-volume")),
            Role::Variable => {
                self.variable(find("name"), find("value"), taken);
                None
            }
            Role::Replacement => {
                self.replacement(find("name"), find("newName"), find("newTag"), find("digest"), taken);
                None
            }
            Role::Image => {
                let id = find("image").or_else(|| find("name"));
                let named = id.and_then(|id| Some((id, self.tree.text(id)?)));
                let exact = named.filter(|(_, text)| PossibleReference::read(text).is_some_and(|read| read.is_exact()));
                if let Some((id, text)) = exact {
                    self.found(id, text, Confidence::Likely, "image-list", Some("image"), taken);
                }
                None
            }
            Role::Service => {
                self.service(entries, taken);
                None
            }
            Role::Annotations => {
                self.chart_annotations(entries, taken);
                None
            }
            _ => None,
        };
        let named = sure.and_then(|(id, path, rule)| Some((id, self.tree.text(id)?, path, rule)));
        if let Some((id, text, path, rule)) = named {
            self.found(id, text, Confidence::Sure, rule, Some(path), taken);
        }
    }

    /// An entry of a list of environment variables.
    fn variable(&mut self, name: Option<Id>, value: Option<Id>, taken: &mut Vec<Id>) {
        let tree = self.tree;
        let (Some(name), Some(id)) = (name.and_then(|id| tree.text(id)), value) else { return };
        let Some(text) = tree.text(id) else { return };
        if keys::is_related_image(name) {
            self.found(id, text, Confidence::Sure, "related-image", Some("value"), taken);
        } else if keys::names_list(name) && !is_template(text) {
            for read in
                candidate::words(text).filter_map(PossibleReference::read).filter(PossibleReference::stands_alone)
            {
                let origin = self.origin(id, Some("value"));
                self.push(read, Confidence::Likely, "image-variable".into(), origin);
            }
            taken.push(id);
        } else if keys::naming(name).is_some()
            && PossibleReference::read(text).is_some_and(|read| read.is_exact() || read.has_host)
        {
            self.found(id, text, Confidence::Likely, "image-variable", Some("value"), taken);
        }
    }

    /// An entry of a kustomization's `images`.
    fn replacement(
        &mut self,
        name: Option<Id>,
        new: Option<Id>,
        tag: Option<Id>,
        digest: Option<Id>,
        taken: &mut Vec<Id>,
    ) {
        let tree = self.tree;
        let text = |id: Option<Id>| id.and_then(|id| tree.text(id)).filter(|text| !text.is_empty());
        let Some(base) = text(new).or_else(|| text(name)) else { return };
        let Some(at) = new.or(name) else { return };
        taken.extend([name, new, tag, digest].into_iter().flatten());
        let mut whole = base.to_owned();
        match (text(tag), text(digest)) {
            (None, None) => return,
            (tag, digest) => {
                whole.extend(tag.map(|tag| format!(":{tag}")));
                whole.extend(digest.map(|digest| format!("@{digest}")));
            }
        }
        self.found(at, &whole, Confidence::Sure, "kustomize-image", None, &mut Vec::new());
    }

    /// The annotations in which charts list their images: a YAML list in a text.
    fn chart_annotations(&mut self, entries: &[(&'a str, Id)], taken: &mut Vec<Id>) {
        let is_chart = self.path.len() == 1;
        for (key, id) in entries {
            let is_list = matches!(*key, "helm.sh/images" | "artifacthub.io/images") || (*key == "images" && is_chart);
            let Some(text) = self.tree.text(*id).filter(|_| is_list) else { continue };
            taken.push(*id);
            let context = self.within(*id);
            for tree in Documents::new(text).flatten() {
                for item in tree.items(tree.root()) {
                    let named = tree.text(*item).map(|text| (text, *item));
                    let member = tree.get(*item, "image").and_then(|id| Some((tree.text(id)?, id)));
                    let Some((text, at)) = named.or(member) else { continue };
                    let origin =
                        context.origin(tree.line(at), self.object.as_deref(), Some(format!(".annotations[\"{key}\"]")));
                    self.add(text, Confidence::Sure, "chart-annotation".into(), origin);
                }
            }
        }
    }

    /// A custom resource's schema: the image that is used where none is given.
    pub(super) fn schema_defaults(&mut self, entries: &[(&'a str, Id)], taken: &mut Vec<Id>) {
        for (key, id) in entries {
            let Some(default) = self.tree.get(*id, "default").filter(|_| keys::naming(key).is_some()) else { continue };
            if let Some(text) =
                self.tree.text(default).filter(|text| PossibleReference::read(text).is_some_and(|read| read.is_exact()))
            {
                self.path.push(PathStep::Key(key));
                self.found(default, text, Confidence::Likely, "schema-default", Some("default"), taken);
                self.path.pop();
            }
        }
    }

    /// An argument such as `--reloader-image=quay.io/a/b:1`; whether it was one.
    pub(super) fn argument(&mut self, id: Id, text: &str) -> bool {
        let Some((flag, value)) = text.strip_prefix('-').and_then(|flag| flag.split_once('=')) else { return false };
        let is_image = keys::naming(flag.trim_start_matches('-')).is_some();
        let value = value.trim_matches(['"', '\'']);
        if is_image && PossibleReference::read(value).is_some_and(|read| read.is_exact() || read.has_host) {
            self.found(id, value, Confidence::Likely, "image-argument", None, &mut Vec::new());
            return true;
        }
        false
    }

    /// An argument after a flag such as `--engine-image`; whether it was one.
    pub(super) fn argument_of(&mut self, flag: Option<&str>, id: Id) -> bool {
        let Some(flag) = flag.and_then(|flag| flag.strip_prefix('-')).filter(|flag| !flag.contains('=')) else {
            return false;
        };
        let text = self.tree.text(id).unwrap_or_default();
        let is_image = keys::naming(flag.trim_start_matches('-')).is_some();
        let is_found = is_image && PossibleReference::read(text).is_some_and(|read| read.is_exact() || read.has_host);
        if is_found {
            self.found(id, text, Confidence::Likely, "image-argument", None, &mut Vec::new());
        }
        is_found
    }

    /// Objects by which Flux and Argo CD fetch an artifact from a registry.
    pub(super) fn delivery(&mut self, kind: &str, version: &str, id: Id) {
        let tree = self.tree;
        let spec = |path: &[&str]| {
            let id = path.iter().try_fold(tree.get(id, "spec")?, |id, key| tree.get(id, key))?;
            Some((id, tree.text(id)?))
        };
        if kind == "OCIRepository" && version.starts_with("source.toolkit.fluxcd.io/") {
            let Some((at, url)) = spec(&["url"]) else { return };
            let name = match (spec(&["ref", "digest"]), spec(&["ref", "semver"]), spec(&["ref", "tag"])) {
                (Some((_, digest)), ..) => format!("{url}@{digest}"),
                // A range says no version: the registry must be asked.
                (None, Some((_, range)), _) => {
                    let origin = self.origin(at, Some("spec.url"));
                    let (text, reason) = (url.to_owned(), format!("it takes the newest version of {range}"));
                    return self.findings.unresolved.push(Unresolved { text, reason, origin });
                }
                (None, None, Some((_, tag))) => format!("{url}:{tag}"),
                (None, None, None) => url.to_owned(),
            };
            self.found(at, &name, Confidence::Sure, "flux-source", Some("spec.url"), &mut Vec::new());
        }
        if kind == "Application" && version.starts_with("argoproj.io/") {
            let (Some((at, url)), Some((_, chart)), Some((_, revision))) =
                (spec(&["source", "repoURL"]), spec(&["source", "chart"]), spec(&["source", "targetRevision"]))
            else {
                return;
            };
            // An address with a scheme is a chart repository that is not a registry.
            if !url.contains("://") || url.starts_with("oci://") {
                let name = format!("{}/{chart}:{}", url.trim_end_matches('/'), revision.replace('+', "_"));
                self.found(at, &name, Confidence::Likely, "argo-source", Some("spec.source"), &mut Vec::new());
            }
        }
    }
}
