# Green's certificates hold for `context.minCertificateDays` more (without it: for 30 days).
package verdigris.security

import rego.v1

day_ms := 86400000

default least_days := 30

least_days := input.context.minCertificateDays

deny contains message if {
	some surface, certificates in input.green.certificates
	some certificate in certificates
	left := certificate.notAfter - input.context.now
	left < least_days * day_ms
	message := sprintf("green's %s certificate holds for %d more days, expected %d", [surface, max([0, floor(left / day_ms)]), least_days])
}
