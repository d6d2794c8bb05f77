# Green speaks TLS as RFC 9325 recommends it, whatever blue does: nothing older than TLS 1.2, no weak ciphers, keys and
# signatures of 112 bits of strength and more.
package verdigris.security

import rego.v1

old := {"SSL 3.0", "TLS 1.0", "TLS 1.1"}

broken := {"NULL", "anonymous", "EXPORT", "DES", "RC4", "3DES"}

least_bits := 112

deny contains message if {
	some surface, settings in input.green.surfaces
	settings["tls.required"].value == false
	message := sprintf("green's %s endpoint takes requests in clear text", [surface])
}

deny contains message if {
	some surface, settings in input.green.surfaces
	version := settings["tls.minVersion"].value
	version in old
	message := sprintf("green's %s endpoint accepts %s", [surface, version])
}

deny contains message if {
	some surface, settings in input.green.surfaces
	some family in settings["tls.ciphers"].value
	family in broken
	message := sprintf("green's %s endpoint accepts weak ciphers: %s", [surface, family])
}

deny contains message if {
	some surface, settings in input.green.surfaces
	some setting in ["tls.keyBits", "tls.certificate.signature"]
	settings[setting].value < least_bits
	message := sprintf("green's %s endpoint: %s is %d, expected %d and more", [surface, setting, settings[setting].value, least_bits])
}
