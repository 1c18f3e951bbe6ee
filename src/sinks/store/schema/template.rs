//! The notation of the templates.
//!
//! | marker | single server | cluster |
//! |---|---|---|
//! | `{database}` | the database | the same |
//! | `{on_cluster}` | nothing | ` ON CLUSTER 'NAME'` |
//! | `{cluster}` | nothing | the cluster's name, as a literal |
//! | `{local}` | nothing | `_local` |
//! | `{engine:X(...)}` | `X(...)` | `ReplicatedX('PATH', 'REPLICA', ...)` |
//! | `{cluster_only}` | the statement is left out | nothing |
//! | `{distributed:T,KEY}` | (only there) | `Distributed('NAME', 'DATABASE', 'T_local', KEY)` |
//!
//! A statement ends with a semicolon at the end of a line.

use super::Target;

/// A statement with this marker is for clusters.
const CLUSTER_ONLY: &str = "{cluster_only}";

/// The statements of a template, rendered. What is no marker stays as it is: templates are part
/// of the program, and its tests look for leftovers.
pub(super) fn statements(template: &str, target: &Target) -> Vec<String> {
    template
        .split(";\n")
        .map(str::trim)
        .filter(|statement| statement.lines().any(|line| !is_comment(line)))
        .filter(|statement| target.cluster.is_some() || !statement.contains(CLUSTER_ONLY))
        .map(|statement| render(statement, target))
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with("--")
}

fn render(mut rest: &str, target: &Target) -> String {
    let mut out = String::with_capacity(rest.len() + 256);
    while let Some((before, marked)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = marked.split_once('}') else {
            out.push('{');
            rest = marked;
            continue;
        };
        match marker(name, target) {
            Some(text) => out.push_str(&text),
            None => out.extend(["{", name, "}"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn marker(name: &str, target: &Target) -> Option<String> {
    let of_cluster = |text: fn(&super::Cluster) -> String| {
        target.cluster.as_ref().map_or_else(String::new, text)
    };
    if let Some(engine) = name.strip_prefix("engine:") {
        return Some(self::engine(engine, target));
    }
    if let Some((table, key)) = name.strip_prefix("distributed:").and_then(|t| t.split_once(',')) {
        let cluster = of_cluster(|cluster| literal(&cluster.name));
        let (database, local) = (literal(&target.database), literal(&format!("{table}_local")));
        return Some(format!("Distributed({cluster}, {database}, {local}, {key})"));
    }
    Some(match name {
        "database" => identifier(&target.database),
        "on_cluster" => of_cluster(|cluster| format!(" ON CLUSTER {}", literal(&cluster.name))),
        "cluster" => of_cluster(|cluster| literal(&cluster.name)),
        "local" => of_cluster(|_| "_local".to_owned()),
        "cluster_only" => String::new(),
        _ => return None,
    })
}

fn engine(engine: &str, target: &Target) -> String {
    let Some((cluster, (name, arguments))) =
        target.cluster.as_ref().zip(engine.trim_end_matches(')').split_once('('))
    else {
        return engine.to_owned();
    };
    let mut all = vec![literal(&cluster.keeper_path), literal(&cluster.replica)];
    all.extend(Some(arguments).filter(|text| !text.is_empty()).map(str::to_owned));
    format!("Replicated{name}({})", all.join(", "))
}

/// An identifier, quoted where it needs to be.
pub(super) fn identifier(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| !first.is_ascii_digit());
    if plain {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }
}

/// A string literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::super::Cluster;
    use super::*;

    fn target(cluster: bool) -> Target {
        let cluster = cluster.then(|| Cluster {
            name: "c1".to_owned(),
            keeper_path: "/k/{shard}".to_owned(),
            replica: "{replica}".to_owned(),
        });
        Target { database: "d".to_owned(), cluster }
    }

    #[test]
    fn one_template_gives_both_variants() {
        for (template, single, cluster) in [
            (
                "CREATE DATABASE {database}{on_cluster}",
                "CREATE DATABASE d",
                "CREATE DATABASE d ON CLUSTER 'c1'",
            ),
            ("{database}.t{local}", "d.t", "d.t_local"),
            (
                "{engine:MergeTree()}",
                "MergeTree()",
                "ReplicatedMergeTree('/k/{shard}', '{replica}')",
            ),
            (
                "{engine:ReplacingMergeTree(v)}",
                "ReplacingMergeTree(v)",
                "ReplicatedReplacingMergeTree('/k/{shard}', '{replica}', v)",
            ),
            (
                "map({'a': 1}, {x: UInt8}) {",
                "map({'a': 1}, {x: UInt8}) {",
                "map({'a': 1}, {x: UInt8}) {",
            ),
        ] {
            assert_eq!(render(template, &target(false)), single);
            assert_eq!(render(template, &target(true)), cluster);
        }
    }

    #[test]
    fn statements_for_clusters_are_left_out_for_one_server() {
        let template =
            "-- Head.\n\nA;\n\n-- Of B.\n{cluster_only}B {distributed:t,f(k)};\n-- Tail.\n";
        assert_eq!(statements(template, &target(false)), ["-- Head.\n\nA"]);
        assert_eq!(
            statements(template, &target(true)),
            ["-- Head.\n\nA", "-- Of B.\nB Distributed('c1', 'd', 't_local', f(k))"]
        );
    }

    #[test]
    fn names_and_literals_cannot_end_their_quotes() {
        assert_eq!(identifier("shadowtap_2"), "shadowtap_2");
        assert_eq!(identifier("2"), "`2`");
        assert_eq!(identifier(""), "``");
        assert_eq!(identifier("a-`b\\"), "`a-\\`b\\\\`");
        assert_eq!(literal("it's \\"), "'it\\'s \\\\'");
    }
}
