//! The wire that the tests of commits and their replies stand on: no message passes it unseen.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    proxy::{COMMIT, Proxy, Trick},
    soon,
};

/// A server that a test plays itself, behind a proxy that looks for a COMMIT.
struct Wire {
    proxy: Proxy,
    listener: TcpListener,
}

impl Wire {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { proxy: Proxy::to(("127.0.0.1".to_owned(), port), COMMIT).await, listener }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = soon("a connection", self.listener.accept()).await.unwrap();
        (client, server)
    }
}

async fn arrives(server: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    soon("so many bytes", server.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// As an append ends: entries before its COMMIT, a question behind it; and with them another message.
fn messages() -> (Vec<u8>, usize) {
    let begin = b"Q\0\0\0\x4finsert into activity.ledger_entries (writer_id) values (1)";
    let end = b", epoch from activity.ledger_entries\0Q\0\0\0\x0dselect 1\0";
    ([&begin[..], COMMIT, end].concat(), begin.len() + COMMIT.len())
}

#[tokio::test]
async fn a_commit_is_held_wherever_it_is_cut_and_whatever_it_is_glued_to() {
    let wire = Wire::new().await;
    let (sent, marked) = messages();
    let cuts = (0..=sent.len()).map(|cut| {
        let (first, rest) = sent.split_at(cut);
        vec![first, rest]
    });
    let slices = [1, 2, 3, 7, COMMIT.len()].map(|size| sent.chunks(size).collect());
    for pieces in cuts.chain(slices) {
        let (mut client, mut server) = wire.connect().await;
        wire.proxy.play([Trick::Hold]);
        let (mut written, mut arrived) = (0, Vec::new());
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            written += piece.len();
            if written < marked {
                // Read apart from what follows.
                arrived.extend(arrives(&mut server, piece.len()).await);
            }
        }
        soon("the commit is held", wire.proxy.held()).await;
        let nothing = server.try_read(&mut [0]);
        assert!(nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
        wire.proxy.let_go();
        arrived.extend(arrives(&mut server, sent.len() - arrived.len()).await);
        assert_eq!(arrived, sent, "as it was sent");
    }
}

#[tokio::test]
async fn a_reply_is_cut_off_wherever_its_commit_was_cut() {
    let wire = Wire::new().await;
    let (sent, marked) = messages();
    for cut in 0..marked {
        let (mut client, mut server) = wire.connect().await;
        wire.proxy.play([Trick::CutBeforeReply]);
        let (first, rest) = sent.split_at(cut);
        client.write_all(first).await.unwrap();
        arrives(&mut server, first.len()).await;
        client.write_all(rest).await.unwrap();
        assert_eq!(arrives(&mut server, rest.len()).await, rest);
        server.write_all(b"C\0\0\0\x0bCOMMIT\0").await.unwrap();
        let heard = soon("the end", client.read(&mut [0; 16])).await;
        assert!(!matches!(heard, Ok(1..)), "{heard:?}");
        assert_eq!(wire.proxy.left(), 0);
    }
}
