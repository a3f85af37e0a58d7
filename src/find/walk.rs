//! The walk over one document: places that name images by their shape, then by their keys, then by their text.

use std::fmt::Write as _;

use super::{
    candidate::{self, PossibleReference, is_template},
    context::{LineOffset, SearchContext},
    finding::{Confidence, Findings, Mention, Provenance, RuleName, Unresolved},
    keys::{self, Naming},
    parts::{Members, PartedReference},
    shapes, text,
    tree::{Documents, Id, Style, Value, ValueTree},
};

/// How often values behind aliases are walked again in one document.
const MAX_REPEATS: usize = 50_000;

/// How deep documents within values of documents are read.
const MAX_EMBEDDED: u8 = 3;

/// Longest value that is read as a document of its own, in bytes.
const MAX_EMBEDDED_BYTES: usize = 4 << 20;

/// What a value is by its place in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    Containers,
    Container,
    Environment,
    Variable,
    Volumes,
    Volume,
    RelatedImages,
    RelatedImage,
    Replacements,
    Replacement,
    Images,
    Image,
    Arguments,
    Annotations,
    Services,
    Service,
    Data,
    DataValue,
}

impl Role {
    /// The role of the items of a sequence.
    const fn of_item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Environment => Self::Variable,
            Self::Volumes => Self::Volume,
            Self::RelatedImages => Self::RelatedImage,
            Self::Replacements => Self::Replacement,
            Self::Images => Self::Image,
            Self::Arguments => Self::Arguments,
            _ => Self::Plain,
        }
    }
}

/// What holds for everything below a value.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that hold or not, in any combination")]
pub(super) struct Scope {
    /// It describes the shape of other documents.
    schema: bool,
    /// A key above speaks of images.
    images: bool,
    /// It is the document of a kustomization.
    kustomization: bool,
    /// It is the document of a chart.
    chart: bool,
}

pub(super) enum PathStep<'a> {
    Key(&'a str),
    Index(usize),
}

/// Walks over one document.
pub(super) struct Walker<'a> {
    pub(super) tree: &'a ValueTree,
    pub(super) context: SearchContext<'a>,
    pub(super) findings: &'a mut Findings,
    pub(super) object: Option<String>,
    pub(super) path: Vec<PathStep<'a>>,
    visited: Vec<bool>,
    repeats: usize,
}

/// Finds what every document of `text` names. What is not a document is searched line by line.
pub(super) fn documents(text: &str, context: SearchContext<'_>, findings: &mut Findings) {
    for document in Documents::new(text) {
        match document {
            Ok(tree) => Walker::new(&tree, context, findings).run(),
            Err(error) => {
                let is_incomplete = text::scan(text, context, None, findings);
                let what = format!("one document is not YAML or JSON ({error}); the file was searched line by line");
                findings.remark(context.file, None, what, is_incomplete);
                return;
            }
        }
    }
}

impl<'a> Walker<'a> {
    pub(super) fn new(tree: &'a ValueTree, context: SearchContext<'a>, findings: &'a mut Findings) -> Self {
        let visited = vec![false; tree.len()];
        Self { tree, context, findings, object: None, path: Vec::new(), visited, repeats: MAX_REPEATS }
    }

    pub(super) fn run(mut self) {
        let root = self.tree.root();
        let is_chart = self.tree.get(root, "name").is_some()
            && self.tree.get(root, "kind").is_none()
            && self.tree.get_text(root, "apiVersion").is_some_and(|version| matches!(version, "v1" | "v2"));
        let role = if shapes::is_compose(self.tree) { Role::Services } else { Role::Plain };
        self.visit(root, role, Scope { chart: is_chart, ..Scope::default() });
    }

    fn visit(&mut self, id: Id, role: Role, scope: Scope) {
        let tree = self.tree;
        match tree.value(id) {
            Value::Scalar(text, style) => return self.scalar(id, text, *style, role, scope),
            Value::Sequence(_) | Value::Mapping(_) => {}
        }
        if self.visited[id.position()] {
            if self.repeats == 0 {
                return;
            }
            self.repeats -= 1;
        }
        self.visited[id.position()] = true;
        match tree.value(id) {
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(PathStep::Index(index));
                    let flag = index.checked_sub(1).and_then(|before| tree.text(items[before]));
                    if role != Role::Arguments || !self.argument_of(flag, *item) {
                        self.visit(*item, role.of_item(), scope);
                    }
                    self.path.pop();
                }
            }
            _ => self.mapping(id, role, scope),
        }
    }

    fn mapping(&mut self, id: Id, role: Role, mut scope: Scope) {
        let tree = self.tree;
        let entries = tree.entries(id);
        let member = |name: &str| entries.iter().find(|(key, _)| *key == name).and_then(|(_, value)| tree.text(*value));
        let above = self.object.clone();
        if let (Some(kind), Some(version)) = (member("kind"), member("apiVersion")) {
            if is_access_rule(kind) {
                return;
            }
            self.object = Some(named_object(tree, id, kind));
            scope.schema |= kind == "CustomResourceDefinition";
            scope.kustomization = version.starts_with("kustomize.config.k8s.io/");
            self.delivery(kind, version, id);
        }
        if member("verbs").is_some() || entries.iter().any(|(key, _)| *key == "verbs") {
            return;
        }
        let mut taken = Vec::new();
        if scope.schema {
            self.schema_defaults(&entries, &mut taken);
        } else {
            self.by_role(role, &entries, &mut taken);
            self.own_keys(&entries, &mut taken);
            self.by_parts(&entries, scope, &mut taken);
            self.by_keys(&entries, &mut taken);
        }
        for (key, value) in &entries {
            if taken.contains(value) || keys::is_prose(key) {
                continue;
            }
            let below = Scope { images: scope.images || keys::speaks_of_images(key), ..scope };
            self.path.push(PathStep::Key(key));
            self.visit(*value, self.child_role(role, key, *value, scope), below);
            self.path.pop();
        }
        self.object = above;
    }

    fn child_role(&self, role: Role, key: &str, value: Id, scope: Scope) -> Role {
        let is_list = matches!(self.tree.value(value), Value::Sequence(_));
        let is_map = matches!(self.tree.value(value), Value::Mapping(_));
        match key {
            "services" if role == Role::Services && is_map && self.path.len() == 1 => Role::Services,
            _ if role == Role::Services && is_map && self.path.len() == 2 => Role::Service,
            "containers" | "initContainers" | "ephemeralContainers" => Role::Containers,
            _ if role == Role::Containers && is_map => Role::Container,
            "env" | "environment" | "extraEnv" | "extraEnvVars" if is_list => Role::Environment,
            "volumes" if is_list => Role::Volumes,
            "relatedImages" if is_list => Role::RelatedImages,
            "images" if is_list && scope.kustomization => Role::Replacements,
            "args" | "command" | "entrypoint" | "extraArgs" if is_list => Role::Arguments,
            "annotations" if is_map => Role::Annotations,
            "data" if is_map && self.object.as_ref().is_some_and(|object| object.starts_with("ConfigMap")) => {
                Role::Data
            }
            _ if role == Role::Data && !is_map && !is_list => Role::DataValue,
            _ if is_list && keys::names_list(key) => Role::Images,
            _ => Role::Plain,
        }
    }

    fn own_keys(&mut self, entries: &[(&'a str, Id)], taken: &mut Vec<Id>) {
        let rules = self.context.rules;
        if rules.is_empty() {
            return;
        }
        for (key, id) in entries {
            let Some(text) = self.tree.text(*id) else { continue };
            self.path.push(PathStep::Key(key));
            if rules.matches_key(key) || rules.matches_path(&self.rendered_path(None)) {
                self.found(*id, text, Confidence::Sure, "own-rule", None, taken);
            }
            self.path.pop();
        }
    }

    fn by_parts(&mut self, entries: &[(&'a str, Id)], scope: Scope, taken: &mut Vec<Id>) {
        if scope.chart && self.path.len() <= 2 {
            return;
        }
        let first = self.path.iter().find_map(|step| match step {
            PathStep::Key(key) => Some(*key),
            PathStep::Index(_) => None,
        });
        let defaults = self.context.defaults;
        let is_foreign = first.is_some_and(|first| defaults.dependencies.iter().any(|name| name == first));
        let app_version = self.context.app_version.filter(|_| !is_foreign);
        let members = Members { tree: self.tree, entries, speaks_of_images: scope.images, app_version, defaults };
        for parts in members.parts() {
            match parts {
                PartedReference::Whole { candidate, confidence, rule, at } if !taken.contains(&at) => {
                    taken.push(at);
                    let origin = self.origin(at, None);
                    self.push(candidate, confidence, rule.into(), origin);
                }
                PartedReference::Incomplete { text, reason, at } if !taken.contains(&at) => {
                    taken.push(at);
                    let origin = self.origin(at, None);
                    self.findings.unresolved.push(Unresolved { text, reason: reason.to_owned(), origin });
                }
                _ => {}
            }
        }
    }

    fn by_keys(&mut self, entries: &[(&'a str, Id)], taken: &mut Vec<Id>) {
        let is_container = keys::is_container(entries.iter().map(|(key, _)| *key));
        for (key, id) in entries {
            let Some(text) = self.tree.text(*id).filter(|_| !taken.contains(id)) else { continue };
            if keys::is_related_image(key) {
                self.found(*id, text, Confidence::Sure, "related-image", Some(key), taken);
                continue;
            }
            let Some(naming) = keys::naming(key) else { continue };
            if is_container && naming == Naming::Exact && is_template(text) {
                self.found(*id, text, Confidence::Likely, "image-key", Some(key), taken);
            }
            let Some(read) = PossibleReference::read(text) else { continue };
            let is_plain = read.is_exact() || (read.has_host && naming == Naming::Exact);
            let confidence = match naming {
                _ if is_plain => Confidence::Likely,
                // In the values of a chart such a word is completed by a template.
                Naming::Exact if is_container && self.context.app_version.is_none() && self.context.level == 0 => {
                    Confidence::Likely
                }
                Naming::Exact => Confidence::Guess,
                Naming::Suffix if read.has_slash => Confidence::Guess,
                Naming::Suffix => continue,
            };
            self.found(*id, text, confidence, "image-key", Some(key), taken);
        }
    }

    fn scalar(&mut self, id: Id, text: &str, style: Style, role: Role, scope: Scope) {
        if scope.schema || text.len() < 3 {
            return;
        }
        if let Some(read) = PossibleReference::read(text).filter(|_| role == Role::Image) {
            let confidence = if read.is_exact() || read.has_host { Confidence::Likely } else { Confidence::Guess };
            return self.found(id, text, confidence, "image-list", None, &mut Vec::new());
        }
        if let Some(read) = PossibleReference::read(text).filter(|read| role == Role::DataValue && read.stands_alone())
        {
            let origin = self.origin(id, None);
            return self.push(read, Confidence::Likely, "config-value".into(), origin);
        }
        if role == Role::Arguments && self.argument(id, text) {
            return;
        }
        for word in self.context.rules.texts(text) {
            let origin = self.origin(id, None);
            self.add(word, Confidence::Sure, "own-rule".into(), origin);
        }
        if self.embedded(id, text, style) {
            return;
        }
        if style == Style::Block || text.contains('\n') {
            let context = self.within(id);
            let object = self.object.clone();
            text::scan(text, context, object.as_deref(), self.findings);
            return;
        }
        self.guess(id, text);
    }

    /// Words that look like a reference wherever they stand.
    fn guess(&mut self, id: Id, text: &str) {
        for read in candidate::words(text).filter_map(PossibleReference::read).filter(PossibleReference::stands_alone) {
            let origin = self.origin(id, None);
            self.push(read, Confidence::Guess, "text".into(), origin);
        }
    }

    /// YAML or JSON within a value; whether it was some.
    fn embedded(&mut self, id: Id, text: &str, style: Style) -> bool {
        let trimmed = text.trim_start();
        let is_json = trimmed.starts_with(['{', '[']) && !trimmed.starts_with("{{");
        let is_yaml = style == Style::Block && (text.contains(": ") || text.contains(":\n"));
        let is_read = self.context.level < MAX_EMBEDDED && text.len() <= MAX_EMBEDDED_BYTES;
        if !is_read || !(is_json || is_yaml) {
            return false;
        }
        let documents: Result<Vec<ValueTree>, _> = Documents::new(text).collect();
        let Ok(documents) = documents else { return false };
        if documents.iter().any(|tree| matches!(tree.value(tree.root()), Value::Scalar(..))) {
            return false;
        }
        let context = self.within(id);
        for tree in &documents {
            let mut walker = Walker::new(tree, context, self.findings);
            walker.object.clone_from(&self.object);
            walker.run();
        }
        true
    }

    /// The surroundings of a text within the value `id`.
    pub(super) fn within(&self, id: Id) -> SearchContext<'a> {
        let line = self.tree.line(id);
        let lines = match (self.context.lines, self.tree.value(id)) {
            (LineOffset::At(line), _) => LineOffset::At(line),
            (LineOffset::After(before), Value::Scalar(_, Style::Block)) => LineOffset::After(before + line),
            (LineOffset::After(before), _) => LineOffset::At(before + line),
        };
        SearchContext {
            lines,
            level: self.context.level + 1,
            cap: self.context.cap.max(Confidence::Likely),
            ..self.context
        }
    }

    /// Adds `text` as a reference, or as something that cannot be read.
    pub(super) fn found(
        &mut self,
        id: Id,
        text: &str,
        confidence: Confidence,
        rule: &'static str,
        member: Option<&str>,
        taken: &mut Vec<Id>,
    ) {
        taken.push(id);
        let origin = self.origin(id, member);
        self.add(text, confidence, rule.into(), origin);
    }

    pub(super) fn add(&mut self, text: &str, confidence: Confidence, rule: RuleName, origin: Provenance) {
        let text = text.trim();
        if is_template(text) {
            let reason = "it holds a variable".to_owned();
            self.findings.unresolved.push(Unresolved { text: text.to_owned(), reason, origin });
        } else if let Some(read) = PossibleReference::read(text) {
            self.push(read, confidence, rule, origin);
        } else if confidence == Confidence::Sure && !text.is_empty() {
            let reason = "it is not a reference".to_owned();
            self.findings.unresolved.push(Unresolved { text: text.to_owned(), reason, origin });
        }
    }

    pub(super) fn push(&mut self, read: PossibleReference, confidence: Confidence, rule: RuleName, origin: Provenance) {
        let confidence = confidence.max(self.context.cap);
        self.findings.mentions.push(Mention { reference: read.reference, confidence, rule, origin });
    }

    /// The origin of the value `id`, which is `member` of the mapping at the current path if that is given.
    pub(super) fn origin(&self, id: Id, member: Option<&str>) -> Provenance {
        let path = self.rendered_path(member);
        self.context.origin(self.tree.line(id), self.object.as_deref(), Some(path).filter(|path| !path.is_empty()))
    }

    fn rendered_path(&self, member: Option<&str>) -> String {
        let mut path = String::new();
        for step in &self.path {
            let _ = match step {
                PathStep::Key(key) if key.contains(['.', '/', ' ']) => write!(path, "[\"{key}\"]"),
                PathStep::Key(key) => write!(path, ".{key}"),
                PathStep::Index(index) => write!(path, "[{index}]"),
            };
        }
        path.extend(member.map(|member| format!(".{member}")));
        path
    }

    /// The name of the service or object that is walked.
    pub(super) fn last_key(&self) -> Option<&'a str> {
        self.path.iter().rev().find_map(|step| match step {
            PathStep::Key(key) => Some(*key),
            PathStep::Index(_) => None,
        })
    }
}

/// Kinds of objects that name users, groups and resources, which may look like images.
fn is_access_rule(kind: &str) -> bool {
    matches!(kind, "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" | "APIService")
}

fn named_object(tree: &ValueTree, id: Id, kind: &str) -> String {
    let name = tree
        .get(id, "metadata")
        .and_then(|metadata| tree.get_text(metadata, "name").or_else(|| tree.get_text(metadata, "generateName")));
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind}/{name}"))
}
