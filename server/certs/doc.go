// Package certs keeps the certificates of a server's TLS.
//
// The model: a [Pair] is a certificate file and its key file, read again when
// one of them changes; while they are missing or do not fit together, what was
// read last goes on being used. [Pair.Config] is a configuration for
// crypto/tls with it: TLS 1.2 and up, and the library's own choice of ciphers
// and curves, which is kept up to date with Go. [SelfSigned] makes a pair for
// a server that nobody has given one.
//
// The first call:
//
//	pair, err := certs.Open("server.pem", "server.key", logger)
//	config := pair.Config()
//
// Absent on purpose: asking a certificate authority for one (ACME). The
// programs that do it well write the files that are read here.
package certs
