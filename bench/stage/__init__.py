"""What benches are played on and against: the lab's vCenter alone, and peers that are no single Go program."""
