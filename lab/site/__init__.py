"""The site in which VMs come alive: sees VMs in vSphere, decides what they are, and brings their real parts up."""
