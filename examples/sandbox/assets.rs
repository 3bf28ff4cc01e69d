//! The files of the page, embedded so that the binary is self-contained. The icon is that of the Teams app.

/// Path, media type and content.
pub const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/card.css", CSS, include_str!("page/card.css")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/card.js", SCRIPT, include_str!("page/card.js")),
    ("/chats.js", SCRIPT, include_str!("page/chats.js")),
    ("/demo.js", SCRIPT, include_str!("page/demo.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/examples.js", SCRIPT, include_str!("page/examples.js")),
    ("/markdown.js", SCRIPT, include_str!("page/markdown.js")),
    ("/requests.js", SCRIPT, include_str!("page/requests.js")),
    ("/faults.js", SCRIPT, include_str!("page/faults.js")),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../../src/msteams/package/color.svg"),
    ),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
