//! Compose files: the services' images, and what is built instead.

use super::{
    dockerfile,
    finding::{Confidence, Unresolved},
    tree::Id,
    variables::interpolate,
    walk::Walker,
};

impl Walker<'_> {
    /// One service. An image that is also built is the name of the result, so it is only a guess that it can be pulled.
    pub(super) fn service(&mut self, entries: &[(&str, Id)], taken: &mut Vec<Id>) {
        let tree = self.tree;
        let find = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let service = self.last_key().unwrap_or_default().to_owned();
        let build = find("build");
        if let Some(id) = build {
            let mut origin = self.origin(id, Some("build"));
            origin.object = Some(format!("service/{service}"));
            let text = format!("service {service} is built here, not pulled");
            self.findings.remark(&origin.file, origin.line, text, false);
            if let Some(inline) = tree.get_text(id, "dockerfile_inline") {
                dockerfile::read(inline, self.context, self.findings);
            }
            taken.push(id);
        }
        let Some((id, text)) = find("image").and_then(|id| Some((id, tree.text(id)?))) else { return };
        taken.push(id);
        let mut origin = self.origin(id, Some("image"));
        origin.object = Some(format!("service/{service}"));
        let (confidence, rule) =
            if build.is_some() { (Confidence::Guess, "compose-build") } else { (Confidence::Sure, "compose-service") };
        match interpolate(text, self.context.variables) {
            Ok(text) => self.add(&text, confidence, rule.into(), origin),
            Err(variable) => {
                let reason = format!("the variable {variable} has no value");
                self.findings.unresolved.push(Unresolved { text: text.to_owned(), reason, origin });
            }
        }
    }
}
