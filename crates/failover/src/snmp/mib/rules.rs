//! `vrrpRuleTable`: static rules as those of instance 0, then each instance's.

use super::build::{Build, Row, address_type, number};
use super::keepalived;
use super::routes::realms;
use crate::office::dumps::View;
use keepalived_config::model::{Prefix, Rule, RuleAction};

pub(super) fn rules(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 8, 1]);
    // Protocol and ports are in the MIB, and not in what keepalived shows.
    build.columns(&entry, 2..=32);
    for (place, rule) in view.model.static_rules.iter().enumerate() {
        let is_set = view.statics.has_rule(rule);
        put(&mut build.row(&entry, &[0, number(place)]), rule, is_set);
    }
    for (instance, (wanted, one)) in view.model.instances.iter().zip(&view.snapshot.instances).enumerate() {
        for (place, rule) in wanted.rules.iter().enumerate() {
            put(&mut build.row(&entry, &[number(instance), number(place)]), rule, one.addresses_set);
        }
    }
}

fn prefix(row: &mut Row<'_>, columns: [u32; 3], prefix: Option<Prefix>) {
    if let Some(prefix) = prefix {
        row.put(columns[0], address_type(prefix.address.is_ipv4()));
        row.address(columns[1], prefix.address);
        row.gauge(columns[2], prefix.length);
    }
}

fn put(row: &mut Row<'_>, rule: &Rule, is_set: bool) {
    let direction = match (rule.from, rule.to) {
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "from",
        (None, Some(_)) => "to",
        (None, None) => "",
    };
    row.text(2, direction);
    // Of both, the destination.
    prefix(row, [3, 4, 5], rule.to.or(rule.from));
    row.truth(7, is_set);
    row.truth(8, rule.not);
    prefix(row, [9, 10, 11], rule.to);
    prefix(row, [12, 13, 14], rule.from);
    row.gauge(15, rule.tos);
    if let Some((mark, mask)) = rule.mark {
        row.gauge(16, mark);
        if mask != u32::MAX {
            row.gauge(17, mask);
        }
    }
    realms(row, rule.realms, (18, 19));
    for (column, name) in [(20, &rule.input_interface), (21, &rule.output_interface)] {
        if let Some(name) = name {
            row.text(column, name);
        }
    }
    let action = match rule.action {
        RuleAction::Lookup(table) => {
            row.gauge(6, table);
            row.gauge(24, table);
            1
        }
        RuleAction::L3mdev => {
            row.gauge(6, 0_u32);
            row.gauge(24, 0_u32);
            row.truth(32, true);
            1
        }
        RuleAction::Goto(target) => {
            row.gauge(22, target);
            2
        }
        RuleAction::Nop => 3,
        RuleAction::Blackhole => 6,
        RuleAction::Unreachable => 7,
        RuleAction::Prohibit => 8,
    };
    row.integer(23, action);
    if let Some(priority) = rule.priority {
        row.gauge(25, priority);
    }
    if let Some(length) = rule.suppress_prefix_length {
        row.gauge(26, length);
    }
    if let Some(group) = rule.suppress_interface_group {
        row.text(27, &group.to_string());
    }
    if let Some(tunnel) = rule.tunnel_id {
        row.gauge(28, tunnel >> 32);
        row.gauge(29, tunnel & u64::from(u32::MAX));
    }
    if let Some((first, last)) = rule.user_range {
        row.gauge(30, first);
        row.gauge(31, last);
    }
}
