package nri.lib

# lift ends the messages of policies whose objections a grant can lift.
lift := "if this is meant, grant it in the configuration"
