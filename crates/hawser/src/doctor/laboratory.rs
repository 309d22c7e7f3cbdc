//! For the doctor's tests: a folder that stands for the root of a machine, removed at the end.

use super::machine::Machine;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Laboratory {
    root: PathBuf,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Laboratory {
    pub fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("hawser-doctor-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).expect("a folder for the test");
        Laboratory { root }
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    pub fn link(&self, path: &str, to: &str) {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
        std::os::unix::fs::symlink(to, path).expect("a link");
    }

    pub fn sysctl(&self, name: &str, value: &str) {
        self.write(&format!("/proc/sys/{}", name.replace('.', "/")), &format!("{value}\n"));
    }

    pub fn machine(&self, answers: &[(&str, &str)]) -> Machine {
        Machine::described(&self.root, answers)
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        // A folder left behind in the temporary one does no harm.
        let _removed = fs::remove_dir_all(&self.root);
    }
}
