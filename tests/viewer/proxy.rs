//! Behind a proxy that shows the log under another path than the service knows.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy},
    net::{TcpListener, TcpStream},
};

use crate::{
    browser::{Screen, browse},
    pages::works_at,
    site::{Site, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn it_works_behind_a_proxy_that_shows_it_elsewhere() {
    let site = Site::with(shop(5)).await;
    for (public, addresses) in [
        // The proxy takes a prefix away.
        ("/tools/activity", &["/tools/activity", "/tools/activity/", "/tools/activity/?q="][..]),
        // It names everything anew; without the slash, the service cannot know by what name.
        ("/tools/audit/trail", &["/tools/audit/trail/"]),
        ("", &["/", ""]),
    ] {
        let proxy = proxy(site.address, public).await;
        browse("proxy", Screen::DESK, async |page| {
            for address in addresses {
                works_at(page, &format!("http://{proxy}{address}")).await;
            }
        })
        .await;
    }
    site.stop().await;
}

/// Shows what the service has under `/activity` as `public`, and nothing else of it.
async fn proxy(target: SocketAddr, public: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(forward(near, target, public));
        }
    });
    address
}

async fn forward(near: TcpStream, target: SocketAddr, public: &'static str) -> Option<()> {
    let (near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = TcpStream::connect(target).await.ok()?.into_split();
    let mut near_read = BufReader::new(near_read);
    tokio::spawn(async move { copy(&mut far_read, &mut near_write).await.ok() });
    let mut line = String::new();
    // One request after the other; none of them has a body.
    while near_read.read_line(&mut line).await.ok()? > 0 {
        let (method, rest) = line.split_once(' ')?;
        let rest = rest.strip_prefix(public).filter(|rest| rest.starts_with(['/', '?', ' ']))?;
        let mut head = format!("{method} /activity{rest}");
        line.clear();
        while near_read.read_line(&mut line).await.ok()? > 2 {
            head.push_str(&line);
            line.clear();
        }
        head.push_str(&line);
        line.clear();
        far_write.write_all(head.as_bytes()).await.ok()?;
        if head.to_ascii_lowercase().contains("upgrade: websocket") {
            let mut frames = [0; 4096];
            loop {
                let length = near_read.read(&mut frames).await.ok().filter(|length| *length > 0)?;
                far_write.write_all(&frames[..length]).await.ok()?;
            }
        }
    }
    None
}
