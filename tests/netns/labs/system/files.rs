//! Files that others may have prepared.

use netns::lab;
use netns::site::{MASTERS, Site};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[test]
fn a_link_in_the_way_of_a_dump_is_not_followed() {
    lab("system::files::a_link_in_the_way_of_a_dump_is_not_followed", || {
        let site = Site::up("");
        site.wait_for_owner(MASTERS[0]);
        std::fs::write("/tmp/victim", "precious\n").expect("written");
        let failover = netns::run(&format!("pgrep -P {} -f 'hawser keepalived'", site.pid(MASTERS[0])))
            .trim()
            .to_owned();
        for (signal, name) in [("USR1", "keepalived.data"), ("USR2", "keepalived.stats")] {
            let path = format!("/tmp/{name}");
            std::os::unix::fs::symlink("/tmp/victim", &path).expect("linked");
            netns::run(&format!("kill -{signal} {failover}"));
            netns::wait_until(Duration::from_secs(5), "the dump", || {
                std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() > 0)
            });
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
        assert_eq!(std::fs::read_to_string("/tmp/victim").expect("it is there"), "precious\n");
    });
}
