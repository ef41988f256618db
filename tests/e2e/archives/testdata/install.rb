# ruby install.rb FORMULA FOLDER installs a formula on Linux as Homebrew does. It knows those words of a formula that
# goreleaser writes. It fails where Homebrew would fail: for an unknown word, without an archive for this machine, for a
# wrong checksum, and for a failing test. Of the rules of `brew audit` it has those for descriptions.
require "digest"
require "fileutils"
require "open-uri"
require "tmpdir"

formula, prefix = ARGV

module Hardware
  module CPU
    def self.intel? = RbConfig::CONFIG["host_cpu"] == "x86_64"
    def self.arm? = RbConfig::CONFIG["host_cpu"] == "aarch64"
    def self.is_64_bit? = true
  end
end

class Folder
  def initialize(path) = @path = path
  def to_s = @path
  def install(name) = FileUtils.cp(name, File.join(@path, name), preserve: true)
end

class Formula
  class << self
    %i[desc homepage version license url sha256].each do |word|
      define_method(word) do |*value|
        @said ||= {}
        value.empty? ? @said.fetch(word) : @said[word] = value.first
      end
    end
    attr_reader :tested

    def depends_on(_) = nil
    def on_macos = nil
    def on_linux = yield
    def test(&block) = @tested = block
    def inherited(made) = (@@made = made; super)
    def made = @@made
  end

  attr_reader :bin

  def initialize(bin) = @bin = Folder.new(bin)
  def version = self.class.version
  def shell_output(command) = `#{command}`.tap { raise "#{command} failed" unless $?.success? }
  def assert_match(wanted, said) = (raise "#{said} has no #{wanted}" unless said.include?(wanted))
end

load formula
made = Formula.made
raise "the class is not named by the file" unless File.basename(formula, ".rb").capitalize == made.name
raise "the description is none for Homebrew" if made.desc.length > 80 || made.desc.match?(/\A(an?|the|jobmesh)\b/i) || made.desc.end_with?(".")
raise "the homepage is none for Homebrew" unless made.homepage.start_with?("https://")
content = URI.parse(made.url).open("rb", &:read)
raise "#{made.url} has another sum" unless Digest::SHA256.hexdigest(content) == made.sha256

FileUtils.mkdir_p(prefix)
made = made.new(prefix)
Dir.mktmpdir do |folder|
  File.binwrite(File.join(folder, "archive.tar.gz"), content)
  Dir.chdir(folder) do
    raise "the archive does not unpack" unless system("tar", "-xzf", "archive.tar.gz")
    made.install
  end
end
made.instance_exec(&made.class.tested)
