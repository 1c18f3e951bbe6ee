//! Our own documentation as web pages: it quotes every attack that the rules look for.

use std::path::{Path, PathBuf};

use super::kit::quoted;
use super::lookalikes::Scene;
use crate::run::root;

/// The documents of the repository that quote MCP and attacks on it, sorted.
pub fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "captures/README.md", "deploy/README.md"]
            .map(|name| root().join(name))
            .to_vec();
    files(&root().join("rules"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, without_generated(&std::fs::read_to_string(path).unwrap()))
    };
    paths.into_iter().map(read).collect()
}

/// Every file below a folder.
pub fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A text without what this test writes into it.
fn without_generated(text: &str) -> String {
    let mut out = text.to_owned();
    for name in super::generated::SECTIONS {
        let (begin, end) = super::generated::markers(name);
        if let (Some(from), Some(to)) = (out.find(&begin), out.find(&end)) {
            out.replace_range(from + begin.len()..to, "");
        }
    }
    out
}

/// Each document in every form that somebody may read or send it in, one scene a form.
pub fn scenes() -> Vec<Scene> {
    let documents = documents();
    let scene = |name, serve: &dyn Fn(&mut Scene, &str, &str)| {
        let mut scene = Scene::new(name, "docs.corp.test:8180", 8180);
        for (path, text) in &documents {
            serve(&mut scene, &format!("/{path}"), text);
        }
        scene
    };
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        scene("documents as HTML", &|scene, path, text| {
            let page = format!("<html><body><pre>{}</pre></body></html>", escaped(text));
            scene.page(path, "text/html; charset=utf-8", &page);
        }),
        scene("documents as raw HTML", &|scene, path, text| {
            let page = format!("<html><body><pre>{text}</pre></body></html>");
            scene.page(path, "text/html", &page);
        }),
        scene("documents as text", &|scene, path, text| {
            scene.page(path, "text/plain; charset=utf-8", text);
        }),
        scene("documents as JSON", &|scene, path, text| {
            let page = format!(r#"{{"path":{},"content":{}}}"#, quoted(path), quoted(text));
            scene.page(path, "application/json", &page);
        }),
        scene("documents as YAML", &|scene, path, text| {
            scene.page(path, "application/yaml", text);
        }),
        scene("documents in a prompt", &|scene, _, text| {
            let ask = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":{}}}]}}"#,
                quoted(&format!("Sum up:\n{text}"))
            );
            scene.post(
                "/v1/chat/completions",
                &ask,
                r#"{"object":"chat.completion","choices":[]}"#,
            );
        }),
    ]
}
