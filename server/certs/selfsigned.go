package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	selfSignedFor = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is made anew.
	renewBefore = 30 * 24 * time.Hour
)

// SelfSigned makes a certificate and its key for names and addresses, in two
// files that only their owner can read, unless they are there, for these names
// and good for another month. It tells whether it made them. Clients have no reason to
// trust it: it is for trying out, and better than no TLS against who only
// listens.
func SelfSigned(certFile, keyFile string, names []string, now time.Time) (made bool, err error) {
	if old, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && serves(old.Leaf, names, now) {
		return false, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	cert, err := sign(key, names, now)
	if err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	// The certificate comes last: without it the key is not used.
	if err := writePEM(keyFile, "PRIVATE KEY", private); err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	if err := writePEM(certFile, "CERTIFICATE", cert); err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	return true, nil
}

// serves tells whether a certificate is good for all names, for another while.
func serves(cert *x509.Certificate, names []string, now time.Time) bool {
	for _, name := range names {
		if cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return now.Before(cert.NotAfter.Add(-renewBefore))
}

func sign(key *ecdsa.PrivateKey, names []string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "overstay, self-signed"},
		NotBefore:             now.Add(-time.Hour), // Clocks differ.
		NotAfter:              now.Add(selfSignedFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// writePEM writes a file so that it is there as a whole or not at all.
func writePEM(path, kind string, der []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // Made with mode 0600.
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
