//! What the system reports of a local folder: which files are being written, and which were closed or renamed into place.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use notify::{
    Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use tokio::sync::mpsc;

/// Notices that wait to be heard; where there are more, the folder is looked at as a whole.
const WAITING: usize = 1024;

/// Something that happened in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A file is being written to; told once, until it is closed.
    Written(String),
    /// A file was closed after it was written to, or a rename has put it here: writing has ended.
    Closed(String),
    /// More happened than could be told.
    Much,
}

/// Notices of a folder, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Notices {
    _watcher: RecommendedWatcher,
    heard: mpsc::Receiver<Notice>,
}

impl Notices {
    /// Begins to listen to `folder` and everything below it.
    pub(super) fn of(folder: &Path) -> notify::Result<Self> {
        let (tell, heard) = mpsc::channel(WAITING);
        // The system reports real paths.
        let folder = folder.canonicalize()?;
        let mut ear = Ear { folder: folder.clone(), written: HashSet::new(), missed: false, tell };
        let mut watcher = RecommendedWatcher::new(move |event| ear.hear(event), Config::default())?;
        watcher.watch(&folder, RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher, heard })
    }

    pub(super) async fn next(&mut self) -> Option<Notice> {
        self.heard.recv().await
    }
}

/// Turns the many events of a file that is written to into two notices.
struct Ear {
    folder: PathBuf,
    written: HashSet<PathBuf>,
    missed: bool,
    tell: mpsc::Sender<Notice>,
}

impl Ear {
    fn hear(&mut self, event: notify::Result<Event>) {
        let Ok(event) = event else { return self.say(Notice::Much) };
        if event.need_rescan() {
            self.written.clear();
            return self.say(Notice::Much);
        }
        let is_end = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => true,
            EventKind::Modify(ModifyKind::Data(_)) => false,
            _ => return,
        };
        for path in event.paths {
            let Some(name) = path.strip_prefix(&self.folder).ok().and_then(Path::to_str).map(str::to_owned) else {
                continue;
            };
            if is_end {
                self.written.remove(&path);
                self.say(Notice::Closed(name));
            } else if self.written.insert(path) {
                self.say(Notice::Written(name));
            }
        }
    }

    fn say(&mut self, notice: Notice) {
        let notice = if self.missed { Notice::Much } else { notice };
        self.missed = self.tell.try_send(notice).is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    async fn next(notices: &mut Notices) -> Notice {
        notices.next().await.unwrap()
    }

    #[tokio::test]
    async fn a_file_is_told_of_when_it_is_written_and_when_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let mut notices = Notices::of(folder.path()).unwrap();
        let mut file = fs::File::create(folder.path().join("a.tar")).unwrap();
        for _ in 0..100 {
            file.write_all(b"x").unwrap();
        }
        assert_eq!(next(&mut notices).await, Notice::Written("a.tar".into()));
        drop(file);
        assert_eq!(next(&mut notices).await, Notice::Closed("a.tar".into()), "a hundred writes are reported once");
    }

    #[tokio::test]
    async fn a_file_that_is_renamed_into_place_is_told_of_under_its_name() {
        let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut notices = Notices::of(folder.path()).unwrap();
        fs::write(aside.path().join("x"), "x").unwrap();
        fs::rename(aside.path().join("x"), folder.path().join("b.tar")).unwrap();
        assert_eq!(next(&mut notices).await, Notice::Closed("b.tar".into()));
        fs::read(folder.path().join("b.tar")).unwrap();
        fs::rename(folder.path().join("b.tar"), folder.path().join("c.tar")).unwrap();
        assert_eq!(next(&mut notices).await, Notice::Closed("c.tar".into()), "reading is nothing to tell of");
    }
}
