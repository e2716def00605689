"""What ansible-playbook loads at its start, whatever it plays: `lab.warm_server` imports this before it forks.

Most of it is YAML: the table of the names that Ansible's own plugins had, and the options of each kind of plugin.
"""

import gc
import importlib
import warnings

from ansible.executor import playbook_executor
from ansible.executor.process import worker
from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.plugins import loader
from ansible.plugins.action import normal
from ansible.plugins.strategy import linear

LOADED = (playbook_executor, worker, normal, linear)

loader.init_plugin_loader()
warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
importlib.import_module("ansible_collections.ansible.builtin")
for plugins in (
    loader.become_loader,
    loader.callback_loader,
    loader.connection_loader,
    loader.inventory_loader,
    loader.shell_loader,
):
    list(plugins.all(class_only=True))
for jinja in (loader.filter_loader, loader.test_loader):
    list(jinja.all())
# What each worker would load for itself, again and again.
loader.connection_loader.get("community.docker.docker", class_only=True)
for direction in Direction:
    get_module_encoder("legacy", direction)
    get_module_decoder("legacy", direction)
# A playbook of a test ends before it matters, and what is looked at in a worker is copied into it.
gc.disable()
