//! Which files of a room use each other in a circle, by what they import and by the paths that they write out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use syn::{Attribute, Item, UseTree, Visibility, visit::Visit};

/// A module's path below the crate: `["bundle", "volume"]`.
type Module = Vec<String>;

/// The rooms' files, and which uses which.
#[derive(Default)]
struct Sources {
    modules: BTreeSet<Module>,
    /// What stands in a file, in the module of the file itself: the path, and whether it is re-exported.
    uses: Vec<(Module, Module, bool)>,
    /// What a module re-exports, by module and name.
    exports: HashMap<(Module, String), Module>,
}

/// Files that need each other, each circle once, as `bundle/reader`.
pub(super) fn circles(src: &Path) -> Vec<BTreeSet<String>> {
    let sources = Sources::read(src);
    let mut needs: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, path, exported) in &sources.uses {
        // What a module re-exports of its own children it does not need.
        let is_facade = *exported && path.starts_with(from);
        if let Some(to) = sources.file_of(path).filter(|to| !is_facade && to != from && to[0] == from[0]) {
            needs.entry(from.clone()).or_default().insert(to);
        }
    }
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        needs.keys().map(|module| (module, reachable(&needs, module))).collect();
    let in_circle = |module: &&Module| reached[*module].contains(*module);
    let circle = |module: &Module| {
        let back = |other: &&&Module| reached.get(**other).is_some_and(|reached| reached.contains(module));
        reached[module].iter().filter(back).map(|other| other.join("/")).collect()
    };
    needs.keys().filter(in_circle).map(circle).collect::<BTreeSet<_>>().into_iter().collect()
}

fn reachable<'a>(needs: &'a BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = needs.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(needs.get(module).into_iter().flatten());
        }
    }
    reached
}

impl Sources {
    fn read(src: &Path) -> Self {
        let mut sources = Self::default();
        let files = super::rust_files(src).into_iter().filter(|file| !file.starts_with(src.join("bin")));
        let files: Vec<_> = files.map(|file| (module_of(file.strip_prefix(src).unwrap()), file)).collect();
        sources.modules.extend(files.iter().map(|(module, _)| module.clone()).filter(|module| !module.is_empty()));
        for (module, file) in files {
            let parsed = syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap();
            Walk { sources: &mut sources, file: module.clone(), module }.items(&parsed.items);
        }
        sources
    }

    /// The file that `path` leads to, through what facades re-export.
    fn file_of(&self, path: &[String]) -> Option<Module> {
        let mut path = path.to_vec();
        // No chain of re-exports here is longer.
        for _ in 0..8 {
            let length = (1..=path.len()).rev().find(|&length| self.modules.contains(&path[..length]))?;
            let module = path[..length].to_vec();
            let export = path.get(length).and_then(|name| self.exports.get(&(module.clone(), name.clone())));
            match export {
                Some(target) if *target != path[..=length] => {
                    path = target.iter().chain(&path[length + 1..]).cloned().collect();
                }
                _ => return Some(module),
            }
        }
        None
    }
}

/// `bundle/volume/mod.rs` is `bundle::volume`.
fn module_of(file: &Path) -> Module {
    let mut module: Module = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// One module of a file, as it is walked.
struct Walk<'a> {
    sources: &'a mut Sources,
    /// The module that the file is.
    file: Module,
    /// The module that is walked, which may stand within the file.
    module: Module,
}

impl Walk<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(inner) if is_test(&inner.attrs) => {}
                Item::Mod(inner) => {
                    let module = self.module.iter().cloned().chain([inner.ident.to_string()]).collect();
                    let items = inner.content.as_ref().map_or(&[][..], |(_, items)| items);
                    Walk { sources: self.sources, file: self.file.clone(), module }.items(items);
                }
                Item::Use(item) if !is_test(&item.attrs) => {
                    self.tree(&item.tree, &mut Vec::new(), !matches!(item.vis, Visibility::Inherited));
                }
                item => self.visit_item(item),
            }
        }
    }

    fn tree(&mut self, tree: &UseTree, path: &mut Module, exported: bool) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.tree(&step.tree, path, exported);
                path.pop();
            }
            UseTree::Name(name) => self.leaf(path, &name.ident.to_string(), &name.ident.to_string(), exported),
            UseTree::Rename(name) => self.leaf(path, &name.ident.to_string(), &name.rename.to_string(), exported),
            UseTree::Glob(_) => self.leaf(path, "self", "*", exported),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, path, exported)),
        }
    }

    fn leaf(&mut self, path: &[String], last: &str, name: &str, exported: bool) {
        let path: Module = path.iter().cloned().chain((last != "self").then(|| last.to_owned())).collect();
        let Some(path) = self.absolute(&path) else { return };
        let name = if last == "self" { path.last().cloned().unwrap_or_default() } else { name.to_owned() };
        if exported {
            self.sources.exports.insert((self.module.clone(), name), path.clone());
        }
        self.sources.uses.push((self.file.clone(), path, exported));
    }

    /// The path from the crate down, if it leads into the crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let base = match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "super" => self.module[..self.module.len().checked_sub(supers)?].to_vec(),
            "self" => return Some([&self.module, &path[1..]].concat()),
            first => {
                let child = [&self.module[..], &[first.to_owned()]].concat();
                return self.sources.modules.contains(&child).then(|| [&self.module, path].concat());
            }
        };
        Some([&base, &path[supers..]].concat())
    }
}

impl Visit<'_> for Walk<'_> {
    fn visit_path(&mut self, path: &syn::Path) {
        let parts: Module = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if parts.len() > 1
            && ["crate", "super"].contains(&parts[0].as_str())
            && let Some(path) = self.absolute(&parts)
        {
            self.sources.uses.push((self.file.clone(), path, false));
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is = |attribute: &Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    };
    attributes.iter().any(is)
}

#[test]
fn a_circle_is_found_through_facades_and_written_paths() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write("room/mod.rs", "mod a; mod b; mod c; mod d; pub use a::A; pub use c::C;");
    write("room/a.rs", "use super::b::B; pub struct A;");
    write("room/b.rs", "pub struct B(super::A);");
    write("room/c.rs", "mod inner { use super::C; } pub struct C; #[cfg(test)] mod tests { use super::super::d::D; }");
    write("room/d.rs", "use crate::room::C; pub struct D;");
    let found = circles(folder.path());
    assert_eq!(found, [BTreeSet::from(["room/a".to_owned(), "room/b".to_owned()])]);
}
