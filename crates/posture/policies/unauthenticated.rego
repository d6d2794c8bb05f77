# Nobody writes into green without saying who they are: by a certificate or by a token.
package verdigris.security

import rego.v1

deny contains message if {
	some surface, settings in input.green.surfaces
	settings["client.certificateRequired"].value == false
	settings["auth.required"].value == false
	message := sprintf("green's %s endpoint takes requests from anybody: neither a certificate nor a token is asked for", [surface])
}
