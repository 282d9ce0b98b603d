"""HTTPS with a certificate authority of the service's own: certificates, their files, and how phones get them."""
