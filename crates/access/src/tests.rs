use crate::{Action, Role, Roles, allows, may};

/// The table of the documentation, as a person reads it.
const DOCUMENTATION: &str = include_str!("../../../docs/security.md");

/// The cells of a row of the table: the action's words, then `yes` or nothing for each role.
fn documented(action: Action) -> Vec<bool> {
    let row = DOCUMENTATION.lines().find(|line| line.starts_with(&format!("| {action} |")));
    let row = row.unwrap_or_else(|| panic!("docs/security.md has no row \"| {action} |\""));
    row.split('|').skip(2).take(Role::ALL.len()).map(|cell| cell.trim() == "yes").collect()
}

#[test]
fn every_cell_of_the_documented_table_is_what_is_decided() {
    for action in Action::ALL {
        let decided: Vec<bool> = Role::ALL.into_iter().map(|role| allows(role, action)).collect();
        assert_eq!(decided, documented(action), "{action}");
    }
}

#[test]
fn nobody_may_nothing() {
    for action in Action::ALL {
        assert!(!may(Roles::NONE, action), "{action}");
        assert!(!may(Roles::named(["admin", "Viewer", "", "risk-officer"]), action), "{action}");
    }
}

#[test]
fn roles_add_up_and_nothing_more() {
    for one in Role::ALL {
        for other in Role::ALL {
            let both: Roles = [one, other].into_iter().collect();
            for action in Action::ALL {
                assert_eq!(may(both, action), allows(one, action) || allows(other, action), "{one}, {other}: {action}");
            }
        }
    }
}

#[test]
fn whoever_writes_a_plan_by_role_does_not_approve_by_it() {
    assert!(!allows(Role::Author, Action::Approve));
    assert!(!allows(Role::Operator, Action::Approve));
    assert!(!allows(Role::Auditor, Action::Steer));
}
