//! Lists of patterns while they are changed: what the runtime API does to ACLs and maps.

use crate::testing::World;
use crate::{ListKind, PatternList};
use std::sync::Arc;

fn world() -> World {
    let mut world = World::with_request("GET /a HTTP/1.1\n Host: h");
    world.files.insert(b"m.map".to_vec(), b"a 1\nb 2\n".to_vec());
    world.files.insert(b"nets.map".to_vec(), b"10.0.0.0/8 ten\n".to_vec());
    world
}

fn map_of(world: &World, file: &[u8]) -> Arc<PatternList> {
    world.patterns.by_file(file).expect("the map is loaded").clone()
}

fn shown(list: &PatternList) -> String {
    let lines: Vec<String> = list
        .entries(None)
        .iter()
        .map(|entry| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{} {}", text(&entry.key), entry.value.as_deref().map_or_else(String::new, text))
        })
        .collect();
    lines.join(", ")
}

#[test]
fn an_expression_sees_each_change_of_its_map() {
    let mut world = world();
    let look_up = "str(k),map(m.map,none)";
    assert_eq!(world.text(look_up).as_deref(), Some("none"));
    let list = map_of(&world, b"m.map");
    list.add(b"k", Some(b"v"), None).unwrap();
    assert_eq!(world.text(look_up).as_deref(), Some("v"));
    list.add(b"k", Some(b"w"), None).unwrap();
    assert_eq!(world.text(look_up).as_deref(), Some("v"), "of equal keys the first counts");
    assert_eq!(list.set(b"k", b"zz"), Ok(2));
    assert_eq!(world.text(look_up).as_deref(), Some("zz"));
    assert_eq!(shown(&list), "a 1, b 2, k zz, k zz");
    let first = list.entries(None)[2].id;
    assert_eq!(list.delete_by_id(first), 1);
    assert_eq!(world.text(look_up).as_deref(), Some("zz"), "the second takes its place");
    assert_eq!(list.delete(b"k"), 1);
    assert_eq!(list.delete(b"k"), 0);
    assert_eq!(world.text(look_up).as_deref(), Some("none"));
}

#[test]
fn a_prepared_version_counts_only_when_it_is_committed() {
    let mut world = world();
    assert_eq!(world.text("str(a),map(m.map,none)").as_deref(), Some("1"));
    let list = map_of(&world, b"m.map");
    let version = list.prepare();
    list.add(b"a", Some(b"new"), Some(version)).unwrap();
    assert_eq!(world.text("str(a),map(m.map,none)").as_deref(), Some("1"));
    list.commit(version).unwrap();
    assert_eq!(world.text("str(a),map(m.map,none)").as_deref(), Some("new"));
    assert_eq!(world.text("str(b),map(m.map,none)").as_deref(), Some("none"));
    assert_eq!(list.commit(9), Err("Version number out of range.".into()));
    let error = list.add(b"x", Some(b"y"), Some(7)).unwrap_err();
    assert_eq!(error, "Version number in the future, please use 'prepare map' before.");
    list.clear(None);
    assert_eq!(world.text("str(a),map(m.map,none)").as_deref(), Some("none"));
}

#[test]
fn what_does_not_fit_one_use_of_a_list_changes_nothing() {
    let mut world = world();
    assert_eq!(world.text("str(a),map_str_int(m.map)").as_deref(), Some("1"));
    let list = map_of(&world, b"m.map");
    assert!(list.add(b"c", Some(b"no number"), None).is_err());
    assert!(list.set(b"a", b"no number").is_err());
    assert_eq!(shown(&list), "a 1, b 2");
    assert_eq!(world.text("str(a),map_str_int(m.map)").as_deref(), Some("1"));
}

#[test]
fn networks_come_and_go_by_their_prefix() {
    let mut world = world();
    let look_up = "ipv4(10.1.2.3),map_ip(nets.map,none)";
    assert_eq!(world.text(look_up).as_deref(), Some("ten"));
    let list = map_of(&world, b"nets.map");
    list.add(b"10.1.0.0/16", Some(b"finer"), None).unwrap();
    assert_eq!(world.text(look_up).as_deref(), Some("finer"));
    list.delete(b"10.1.0.0/16");
    assert_eq!(world.text(look_up).as_deref(), Some("ten"));
    list.delete(b"10.0.0.0/8");
    assert_eq!(world.text(look_up).as_deref(), Some("none"));
}

#[test]
fn lists_are_numbered_when_all_is_loaded() {
    let mut world = world();
    world.acl("one path_beg /a /b").unwrap();
    world.acl("two path -u 1 x").unwrap();
    assert_eq!(world.text("path,map(m.map,none)").as_deref(), Some("none"));
    world.patterns.assign_ids();
    let described: Vec<(Option<u32>, String)> =
        world.patterns.lists().iter().map(|list| (list.id(), list.description())).collect();
    assert_eq!(
        described,
        [
            (Some(0), "acl 'path_beg' file 'test.cfg' line 1".to_string()),
            (Some(1), "acl 'path' file 'test.cfg' line 1".to_string()),
            (
                Some(2),
                "pattern loaded from file 'm.map' used by map at file 'test.cfg' line 1".to_string()
            ),
        ]
    );
    let inline = world.patterns.by_id(1).unwrap().clone();
    assert!(!world.holds("two"));
    inline.add(b"/a", None, None).unwrap();
    assert!(world.holds("two"), "patterns can be added to what was on the line");
    assert_eq!(
        inline.answers(b"/a", ListKind::Acl),
        ["type=str, case=sensitive, match=yes, idx=tree, pattern=\"/a\""]
    );
    assert_eq!(inline.answers(b"/b", ListKind::Acl), ["type=str, case=sensitive, match=no"]);
    let map = map_of(&world, b"m.map");
    assert_eq!(
        map.answers(b"a", ListKind::Map),
        ["type=str, case=sensitive, found=yes, idx=tree, key=\"a\", value=\"1\", type=\"str\""]
    );
}
