//! Whether a machine still answers while something is under way to it: the system retransmits for a
//! quarter of an hour, and sends no keep-alives meanwhile. `TCP_USER_TIMEOUT` would not do, as it also
//! ends a connection to a machine that answers but is too busy to read.

use std::net::TcpStream;

/// What was sent again so often without an answer is not going to arrive: about four seconds.
const TRIES: u32 = 4;

/// Whether what was sent over this connection gets no answer. Known on Linux alone.
pub fn is_silent(stream: &TcpStream) -> bool {
    let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
        return false;
    };
    let table = match there.is_ipv4() {
        true => "/proc/net/tcp",
        false => "/proc/net/tcp6",
    };
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let tries = text
        .lines()
        .find_map(|line| tries(line, here.port(), there.port()));
    tries.is_some_and(|tries| tries >= TRIES)
}

/// How often the last data, or a question whether there is room for more, went out in vain, if this
/// line is of the connection: `0: 0100007F:C3A0 0100007F:C394 01 tx:rx timer retransmits uid probes …`.
fn tries(line: &str, here: u16, there: u16) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, remote, _, _, _, retransmits, _, probes, ..] = fields.as_slice() else {
        return None;
    };
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    if (port(local), port(remote)) != (Some(here), Some(there)) {
        return None;
    }
    let retransmits = u32::from_str_radix(retransmits, 16).ok()?;
    Some(retransmits.max(probes.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LINE: &str = "   1: 0100007F:C3A0 0100007F:C394 01 00000100:00000000 01:00000014 00000003 \
                        00000000  0        2 12345 2 0000000000000000 20 4 30 10 -1";

    #[test]
    fn the_line_of_a_connection_tells_what_went_out_in_vain() {
        assert_eq!(tries(LINE, 0xc3a0, 0xc394), Some(3));
        assert_eq!(tries(LINE, 0xc394, 0xc3a0), None);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!(tries(head, 1, 2), None);
    }

    #[test]
    fn a_machine_that_does_not_read_is_not_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut stream, &[0; 65536]).is_ok() {}
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(!is_silent(&stream));
    }
}
