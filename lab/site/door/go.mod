module drydock.local/door

go 1.24
